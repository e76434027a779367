"""The child that loads an unlisted model once, so that a crash is its own and not ours.

    python -m edge_assistant.store.preflight FORM PATH

Exit code 0 and a last line `preflight: ok` if the file was loaded and run; 3 and a last line with
the reason if the library refused it. Anything else, a signal above all, condemns the file as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

BASE_BYTES = 4_000_000_000
"""Address space beyond the file itself. Peaks here (x86-64, one thread): llama.cpp 0.35 GB with a
model of 98 MB, whisper.cpp 0.72 GB with one of 3 MB, onnxruntime 0.30 GB. Reserved is not
used, so the bound may be generous."""
MARK = "preflight: "


def main(arguments: list[str]) -> int:
    """Limit this process, then load and run the file."""
    form, path = arguments[0], Path(arguments[1])
    limit(BASE_BYTES + 3 * path.stat().st_size)
    try:
        _RUNS[form](path)
    except Exception as error:  # the border to four native libraries, each with its own errors
        print(f"{MARK}{type(error).__name__}: {str(error)[:300]!r}", flush=True)  # noqa: T201
        return 3
    print(f"{MARK}ok", flush=True)  # noqa: T201
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


def _run_ggml(path: Path) -> None:
    import numpy as np
    from pywhispercpp.model import Model

    model = Model(str(path), n_threads=1, audio_ctx=64, print_progress=False)
    model.transcribe(np.zeros(16_000, dtype=np.float32))


def _run_gguf(path: Path) -> None:
    import numpy as np
    from llama_cpp import Llama

    model = Llama(
        str(path), n_ctx=64, n_batch=32, n_threads=1, n_gpu_layers=0, logits_all=True, verbose=False
    )
    model.eval(model.tokenize(b"hello"))
    if not np.isfinite(model.scores[0]).all():
        raise ValueError("the first token's logits are not finite")


def _run_onnx(path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


_RUNS = {"ggml": _run_ggml, "gguf": _run_gguf, "onnx": _run_onnx, "ort": _run_onnx}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
