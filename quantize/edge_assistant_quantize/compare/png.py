"""Pictures of spectrograms, written as PNG by hand (W3C, Portable Network Graphics, 3rd ed.)."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant_quantize.compare.mel import RANGE_DB, Mel

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH: Final = 8
_PALETTE: Final = 3
_STOPS: Final = (
    (0.0, (16, 22, 34)),
    (0.35, (27, 74, 102)),
    (0.6, (58, 145, 140)),
    (0.8, (222, 170, 86)),
    (1.0, (255, 244, 222)),
)
"""From silence to the loudest: lighter all the way, so that it reads without colour, too."""
BAND_PIXELS: Final = 2


def spectrogram(mel: Mel, top_db: float) -> bytes:
    """A PNG: time to the right, low bands at the bottom, `RANGE_DB` below `top_db` is darkest.

    Args:
        mel: of one sound.
        top_db: the same for all pictures that are looked at side by side.
    """
    shares = np.clip((mel.T[::-1] - (top_db - RANGE_DB)) / RANGE_DB, 0.0, 1.0)
    pixels = np.rint(shares * 255).astype(np.uint8)
    return encoded(np.repeat(pixels, BAND_PIXELS, axis=0), _colours())


def encoded(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """A PNG of one byte a pixel.

    Args:
        pixels: (height, width), places in the palette.
        palette: (at most 256, 3), red, green, blue.
    """
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, _BIT_DEPTH, _PALETTE, 0, 0, 0)
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), pixels], axis=1)  # no filter
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _colours() -> NDArray[np.uint8]:
    places = [place for place, _ in _STOPS]
    shares = np.linspace(0.0, 1.0, 256)
    channels = [np.interp(shares, places, [stop[at] for _, stop in _STOPS]) for at in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
