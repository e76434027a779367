"""The child that loads an unlisted model once, so that a crash is its own and not ours.

    python -m edge_assistant.store.preflight FORM PATH

Exit code 0 and a last line `preflight: ok` if the file was loaded and run; with a reason behind it
if it was only loaded. Exit code 3 and a last line with the reason if the library refused it.
Anything else, a signal above all, condemns the file as well.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_assistant.borders import telling

BASE_BYTES = 4_000_000_000
"""Address space beyond the file itself. Peaks here (x86-64, one thread): llama.cpp 0.35 GB with a
model of 98 MB, whisper.cpp 0.72 GB with one of 3 MB, onnxruntime 0.30 GB. Reserved is not
used, so the bound may be generous."""
MARK = "preflight: "
_MAX_ELEMENTS = 1 << 24
_SAMPLE_RATE = 16_000
_SOUND_SAMPLES = 512, 16_000
"""A frame for a detector of speech, and a second for what wants a sentence."""
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}


def main(arguments: list[str]) -> int:
    """Limit this process, then load and run the file."""
    form, path = arguments[0], Path(arguments[1])
    limit(BASE_BYTES + 3 * path.stat().st_size)
    try:
        note = _RUNS[form](path)
    except Exception as error:  # the border to four native libraries, each with its own errors
        print(f"{MARK}{type(error).__name__}: {str(error)[:300]!r}", flush=True)  # noqa: T201
        return 3
    print(MARK + ", ".join(filter(None, ("ok", note))), flush=True)  # noqa: T201
    return 0


def limit(address_bytes: int) -> None:
    """Bound memory and forbid core files. Windows has no such limits: there it does nothing."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS refuses RLIMIT_AS
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = address_bytes if hard == resource.RLIM_INFINITY else min(address_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _run_ggml(path: Path) -> str:
    import numpy as np
    from pywhispercpp.model import Model

    model = Model(str(path), n_threads=1, audio_ctx=64, print_progress=False)
    model.transcribe(np.zeros(16_000, dtype=np.float32))
    return ""


def _run_gguf(path: Path) -> str:
    import numpy as np
    from llama_cpp import Llama

    model = Llama(
        str(path), n_ctx=64, n_batch=32, n_threads=1, n_gpu_layers=0, logits_all=True, verbose=False
    )
    model.eval(model.tokenize(b"hello"))
    if not np.isfinite(model.scores[0]).all():
        raise ValueError("the first token's logits are not finite")
    return ""


def _run_onnx(path: Path) -> str:
    """Feed ones, with every free dimension one; then, to a model of sound, more of it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()
    takes_sound = any(
        each.type == "tensor(float)" and len(each.shape) == 2 and _is_free(each.shape[-1])
        for each in wanted
    )
    said: list[str] = []
    for samples in (1, *_SOUND_SAMPLES) if takes_sound else (1,):
        inputs = _ones(wanted, samples)
        if inputs is None:
            return "only loaded: its inputs are none that we can make up"
        with telling(lambda error: said.append(_short(error))):
            session.run(None, inputs)
            return ""
    return f"only loaded: not run on ones: {said[0]}"


def _ones(wanted: Sequence[Any], samples: int) -> dict[str, Any] | None:
    """Make up inputs; the last axis, where it is free, has so many samples.

    Args:
        wanted: the session's inputs.
        samples: above one, a whole number that stands alone is taken for a sample rate.
    """
    import numpy as np

    inputs = {}
    for each in wanted:
        shape = [1 if _is_free(size) else size for size in each.shape]
        if len(shape) > 1 and _is_free(each.shape[-1]):
            shape[-1] = samples
        if each.type not in _DTYPES or math.prod(shape) > _MAX_ELEMENTS:
            return None
        is_rate = not shape and each.type == "tensor(int64)" and samples > 1
        inputs[each.name] = np.full(shape, _SAMPLE_RATE if is_rate else 1, _DTYPES[each.type])
    return inputs


def _is_free(size: object) -> bool:
    return not isinstance(size, int) or size <= 0


def _short(error: Exception) -> str:
    """Bring a library's reason to a few words that a terminal can show."""
    words = "".join(c if c.isprintable() else " " for c in str(error)).split()
    return " ".join(words)[:120] or type(error).__name__


_RUNS = {"ggml": _run_ggml, "gguf": _run_gguf, "onnx": _run_onnx, "ort": _run_onnx}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
