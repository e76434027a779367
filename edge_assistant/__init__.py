"""A voice assistant that runs wholly on its owner's machine.

Importing this package costs nothing: engines are imported by the adapter that wraps them, when it
is built, and even the version is looked up only when it is asked for.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edge-assistant")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
