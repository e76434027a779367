"""A voice assistant that runs wholly on its owner's machine.

Importing this package costs nothing: engines are imported by the adapter that wraps them, when it
is built.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edge-assistant")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
