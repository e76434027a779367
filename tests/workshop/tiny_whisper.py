"""A small Whisper that really listens, as a folder in Hugging Face's layout.

`data/tiny_whisper.npz` holds what `train_tiny_whisper` learnt, in float16: the layers, and of the
embeddings only the rows in use. whisper.cpp knows its special tokens by their numbers, so the
vocabulary has its full 51,864 rows. The others are filled up here and are never said: one channel
of the decoder's last norm is the constant `LIFT` whatever was heard (it was trained so), and `SINK`
in that channel puts their logits at -32, far below every token in use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# fmt: off
TOKEN_IDS: Final = {
    "zero": 6632, "one": 530, "two": 734, "three": 1115, "four": 1440,
    "five": 1936, "six": 2237, "seven": 3598, "eight": 3624, "nine": 5193,
    "yes": 3763, "no": 645, "stop": 2245, "go": 467, "on": 319,
    "off": 572, "left": 1364, "right": 826, "up": 510, "down": 866,
}
# fmt: on
"""Ids of the words, each with a space before it, in GPT-2's vocabulary."""

END: Final = 50256
START: Final = 50257
NO_TIMESTAMPS: Final = 50362
FIRST_TIMESTAMP: Final = 50363
IDS_IN_USE: Final = (*TOKEN_IDS.values(), END, START, NO_TIMESTAMPS)
"""Order of the committed rows."""

STATE: Final = 64
HEADS: Final = 2
ENCODER_LAYERS: Final = 2
DECODER_LAYERS: Final = 1
N_MELS: Final = 80
N_AUDIO: Final = 1500
N_TEXT: Final = 448
N_VOCABULARY: Final = 51864
N_BYTE_PAIRS: Final = 50257
"""Tokens of the vocabulary file; the special ones come after them."""

KEY_STEP: Final = 256
"""whisper.cpp pads the keys of its attention to a multiple of this (`n_audio_ctx_pad`)."""

LIFT_CHANNEL: Final = 0
LIFT: Final = 8.0
SINK: Final = -4.0

WEIGHTS: Final = Path(__file__).with_name("data") / "tiny_whisper.npz"

_SEED: Final = 20
"""Of the rows that are never used; small noise, as no row of a real model is all zeros."""
_FILLING: Final = 0.02

_SPECIAL: Final = {
    "<|startoftranscript|>": START,
    "<|translate|>": 50357,
    "<|transcribe|>": 50358,
    "<|startoflm|>": 50359,
    "<|startofprev|>": 50360,
    "<|nocaptions|>": 50361,
    "<|notimestamps|>": NO_TIMESTAMPS,
}

Weights = dict[str, NDArray[np.float32]]


def write_tiny_whisper(folder: Path) -> Path:
    """Write the checkpoint, its configuration and its vocabulary into `folder` (13 MB)."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with np.load(WEIGHTS) as trained:
        weights = expanded({name: trained[name].astype(np.float32) for name in trained.files})
    save_file(
        {f"model.{name}": values for name, values in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    for name, content in _documents().items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


def expanded(trained: Weights) -> Weights:
    """All weights of the model, from the rows that training changed."""
    rng = np.random.default_rng(_SEED)
    weights = dict(trained)
    tokens = rng.normal(0.0, _FILLING, (N_VOCABULARY, STATE)).astype(np.float32)
    tokens[:, LIFT_CHANNEL] = SINK
    tokens[list(IDS_IN_USE)] = trained["decoder.embed_tokens.weight"]
    weights["decoder.embed_tokens.weight"] = tokens
    positions = rng.normal(0.0, _FILLING, (N_TEXT, STATE)).astype(np.float32)
    known = trained["decoder.embed_positions.weight"]
    positions[: len(known)] = known
    weights["decoder.embed_positions.weight"] = positions
    weights["encoder.embed_positions.weight"] = sinusoids(N_AUDIO, STATE)
    return weights


def sinusoids(length: int, channels: int) -> NDArray[np.float32]:
    """Whisper's positions of the encoder, (length, channels): sines, then cosines."""
    scale = np.log(10_000.0) / (channels // 2 - 1)
    turns = np.arange(length)[:, None] * np.exp(-scale * np.arange(channels // 2))
    return np.concatenate((np.sin(turns), np.cos(turns)), axis=1).astype(np.float32)


def vocabulary() -> dict[str, int]:
    """Token text to id, in GPT-2's letters for bytes: all bytes, the words, and what is never said.

    whisper.cpp looks up " ", " -" and " '" by name.
    """
    letters = _byte_letters()
    by_id = dict(enumerate(letters.values()))
    space = letters[ord(" ")]
    by_id |= {532: f"{space}-", 705: f"{space}'", END: "<|endoftext|>"}
    by_id |= {token: space + word for word, token in TOKEN_IDS.items()}
    return {by_id.get(token, f"{space}unused{token}"): token for token in range(N_BYTE_PAIRS)}


def _byte_letters() -> dict[int, str]:
    """A printable letter for every byte, in the order of GPT-2's first 256 tokens."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [each for each in range(256) if each not in plain]
    return {each: chr(each) for each in plain} | {
        each: chr(256 + at) for at, each in enumerate(others)
    }


def _documents() -> dict[str, Any]:
    timestamps = {
        f"<|{0.02 * step:.2f}|>": FIRST_TIMESTAMP + step
        for step in range(N_VOCABULARY - FIRST_TIMESTAMP)
    }
    return {
        "config.json": {
            "architectures": ["WhisperForConditionalGeneration"],
            "model_type": "whisper",
            "vocab_size": N_VOCABULARY,
            "num_mel_bins": N_MELS,
            "d_model": STATE,
            "encoder_layers": ENCODER_LAYERS,
            "encoder_attention_heads": HEADS,
            "encoder_ffn_dim": 4 * STATE,
            "decoder_layers": DECODER_LAYERS,
            "decoder_attention_heads": HEADS,
            "decoder_ffn_dim": 4 * STATE,
            "max_source_positions": N_AUDIO,
            "max_target_positions": N_TEXT,
            "activation_function": "gelu",
            "scale_embedding": False,
            "tie_word_embeddings": True,
            "bos_token_id": END,
            "eos_token_id": END,
            "pad_token_id": END,
            "decoder_start_token_id": START,
            "forced_decoder_ids": [[1, NO_TIMESTAMPS]],
            "torch_dtype": "float32",
        },
        "preprocessor_config.json": {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": N_MELS,
            "sampling_rate": 16000,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": 30,
            "n_samples": 480000,
            "nb_max_frames": 3000,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": False,
        },
        "vocab.json": vocabulary(),
        "added_tokens.json": _SPECIAL | timestamps,
    }
