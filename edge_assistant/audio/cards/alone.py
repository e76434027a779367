"""A loudspeaker without a microphone, for a few seconds: to say that the microphone is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from edge_assistant.audio.cards.streams import choose_port, translated
from edge_assistant.audio.format import Samples
from edge_assistant.audio.resample import resample

_PIECE_MS: Final = 50
"""Between two looks whether to go on."""
_RATE: Final = 48_000


def play_alone(
    sounddevice: Any,
    wanted: str | int | None,
    samples: Samples,
    sample_rate: int,
    goes_on: Callable[[], bool],
) -> bool:
    """Play to the end, on a stream that is opened for it. Blocks, and may hang with PortAudio.

    Args:
        sounddevice: the module; no other stream may be open.
        wanted: the loudspeaker, as in the settings.
        samples: float32 mono, (frames,).
        sample_rate: of the samples, Hz.
        goes_on: asked between two pieces.

    Returns:
        Whether it came to its end.

    Raises:
        DeviceNotFound: there is no such loudspeaker, or it cannot be opened.
    """
    port = choose_port(sounddevice, "output", wanted, (_RATE, None))
    sound = resample(samples, sample_rate, port.sample_rate)
    size = port.sample_rate * _PIECE_MS // 1000
    try:
        stream = sounddevice.OutputStream(
            device=port.device.index,
            channels=port.channels,
            samplerate=port.sample_rate,
            dtype="float32",
            latency="high",
        )
        try:
            stream.start()
            for first in range(0, len(sound), size):
                if not goes_on():
                    stream.abort()
                    return False
                piece = sound[first : first + size, None]
                stream.write(piece.repeat(port.channels, axis=1))
            stream.stop()  # what is under way is played
        finally:
            stream.close()
    except sounddevice.PortAudioError as error:
        raise translated(error, port.kind, port.device) from error
    return True
