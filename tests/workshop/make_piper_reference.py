"""Reference files of two tiny random voices, made by Piper's own training code and export.

Run once, in an environment of its own, because it needs PyTorch:

    pip install "piper-tts[train]==1.8.0" "torch==2.0.1" "numpy<2"
    python tests/workshop/make_piper_reference.py tests/workshop/data/piper

For each voice there come: `NAME-base.onnx.xz`, a voice as `piper.train.export_onnx` writes it;
`NAME-tuned.ckpt.xz`, a checkpoint of the same network with other weights (without the
discriminators and the posterior encoder, which are large and do not speak); and `NAME-tuned.npz`,
what PyTorch makes of that checkpoint for `ids`, without noise: audio, and how long every phoneme
lasts before that is rounded up.
"""

from __future__ import annotations

import lzma
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

TINY: dict[str, Any] = {
    "num_symbols": 64,
    "hop_length": 16,
    "upsample_rates": (4, 4),
    "upsample_kernel_sizes": (8, 8),
    "upsample_initial_channel": 16,
    "segment_size": 512,
    "inter_channels": 8,
    "hidden_channels": 8,
    "filter_channels": 16,
    "n_layers": 2,
    "mos_metric": None,
}
VOICES: dict[str, dict[str, Any]] = {
    "medium": TINY,
    "speakers": TINY
    | {
        "num_speakers": 3,
        "gin_channels": 4,
        "resblock": "1",
        "resblock_dilation_sizes": ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
    },
}
BASE_SEED, TUNED_SEED = 1, 2
RUNS_OF_IDS = (12, 40)


def make(name: str, folder: Path, work: Path) -> None:
    """Write the three files of a voice."""
    base = save(name, BASE_SEED, work / "base.ckpt")
    export(base, work / "base.onnx")
    pack(work / "base.onnx", folder / f"{name}-base.onnx.xz")
    tuned = save(name, TUNED_SEED, work / "tuned.ckpt")
    export(tuned, work / f"{name}-tuned.onnx")
    np.savez(folder / f"{name}-tuned.npz", **spoken(tuned))
    pack(slim(tuned), folder / f"{name}-tuned.ckpt.xz")


def save(name: str, seed: int, path: Path) -> Path:
    """Write a checkpoint as training does, of random weights, none of which is 0 or 1 in a row."""
    import lightning  # type: ignore[import-not-found]
    import torch  # type: ignore[import-not-found]
    from piper.train.vits.lightning import VitsModel

    torch.manual_seed(seed)
    model = VitsModel(**VOICES[name])
    with torch.no_grad():
        for weights in model.model_g.parameters():
            weights += 0.1 * torch.randn_like(weights)
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path)
    return path


def export(checkpoint: Path, voice: Path) -> None:
    """Piper's own export, as it is."""
    command = [sys.executable, "-m", "piper.train.export_onnx"]
    files = ["--checkpoint", str(checkpoint), "--output-file", str(voice)]
    subprocess.run([*command, *files], check=True)


def spoken(checkpoint: Path) -> dict[str, Any]:
    """Ids, and what PyTorch makes of them; by the last speaker where there are several."""
    import torch
    from piper.train.vits.lightning import VitsModel

    network = VitsModel.load_from_checkpoint(checkpoint, map_location="cpu").model_g.eval()
    found: dict[str, Any] = {"torch": np.array(torch.__version__)}
    for count in RUNS_OF_IDS:
        ids = np.random.default_rng(count).integers(1, network.n_vocab, (1, count))
        inputs = (torch.from_numpy(ids), torch.tensor([count]))
        speaker = torch.tensor([network.n_speakers - 1]) if network.n_speakers > 1 else None
        silent = {"noise_scale": 0.0, "length_scale": 1.0, "noise_scale_w": 0.0}
        with torch.no_grad():
            audio = network.infer(*inputs, sid=speaker, **silent)[0]
            hidden, _, _, mask = network.enc_p(*inputs)
            voice = None if speaker is None else network.emb_g(speaker).unsqueeze(-1)
            logs = network.dp(hidden, mask, g=voice, reverse=True, noise_scale=0.0)
        found |= {
            f"ids_{count}": ids,
            f"audio_{count}": audio.numpy().reshape(-1),
            f"columns_{count}": torch.exp(logs).numpy().reshape(-1),
        }
    return found


def slim(checkpoint: Path) -> Path:
    """The checkpoint without what only trains."""
    import torch

    content = torch.load(checkpoint, map_location="cpu")
    content["state_dict"] = {
        name: weights.clone()
        for name, weights in content["state_dict"].items()
        if name.startswith("model_g.") and ".enc_q." not in name
    }
    path = checkpoint.with_name("slim.ckpt")
    torch.save(content, path)
    return path


def pack(path: Path, packed: Path) -> None:
    packed.write_bytes(lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME))


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        for name in VOICES:
            make(name, Path(sys.argv[1]), Path(work))


if __name__ == "__main__":
    main()
