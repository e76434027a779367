"""A voice assistant that runs wholly on its owner's machine.

Importing this package costs nothing: engines are imported by the adapter that wraps them, when it
is built, and even the version is looked up only when it is asked for.

One thing it does set: ONNX Runtime from 1.29 on sends telemetry to its maker (1DS, on by default in
the wheels for Linux, macOS and Windows), keeps a database of it in the user's cache folder and
looks up that host's address, unless ORT_DISABLE_TELEMETRY is set before it is loaded
(`onnxruntime/Privacy.md`). It is loaded by our adapters and by piper-tts, in the command line and
in programs that embed us, and this is the one line that comes before all of them.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # also over a 0: wholly on its owner's machine

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edge-assistant")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
