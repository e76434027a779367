"""A text to sound, outside a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from edge_assistant.audio.format import Samples
from edge_assistant.audio.resample import Resampler
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import DeviceLost

if TYPE_CHECKING:
    from edge_assistant.config import Config
    from edge_assistant.store.store import Store
    from edge_assistant.tts.protocol import Voice

_WRITE_MS = 100
"""A signal ends the speech within about this time."""


def synthesize(text: str, config: Config, store: Store, token: CancelToken) -> tuple[Samples, int]:
    """The speech for `text`, float32 (frames,), and its sample rate."""
    from edge_assistant.pipeline.engines import build_voice

    with closing(build_voice(config, store)) as voice:
        chunks = list(_chunks(voice, text, token))
        rate = voice.sample_rate
    return (np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.float32)), rate


def speak_aloud(text: str, config: Config, store: Store, token: CancelToken) -> None:
    """Speak `text` through the configured loudspeaker; needs no microphone.

    Raises:
        DeviceNotFound: no PortAudio or no loudspeaker.
        DeviceLost: the loudspeaker went away.
    """
    from edge_assistant.audio.cards.devices import find_device, list_devices, load_sounddevice
    from edge_assistant.pipeline.engines import build_voice

    sounddevice = load_sounddevice()
    device = find_device(list_devices(sounddevice), "output", config.audio.output_device)
    rate, channels = device.default_rate, min(2, device.output_channels)
    with closing(build_voice(config, store)) as voice:
        resampler = Resampler(voice.sample_rate, rate)
        try:
            with sounddevice.OutputStream(
                samplerate=rate, device=device.index, channels=channels, dtype="float32"
            ) as stream:
                for chunk in _chunks(voice, text, token):
                    _write(stream, resampler.process(chunk), rate, channels, token)
                _write(
                    stream,
                    resampler.process(np.zeros(0, np.float32), last=True),
                    rate,
                    channels,
                    token,
                )
        except sounddevice.PortAudioError as error:
            raise DeviceLost(
                "loudspeaker-failed",
                f"{device.name} does not play: {error}",
                "choose another one with --output-device; `edge-assistant devices` lists them",
            ) from error


def _chunks(voice: Voice, text: str, token: CancelToken) -> Iterator[Samples]:
    from edge_assistant.tts.normalise import speakable

    for chunk in voice.synthesize(speakable(text), token):
        yield chunk.samples


def _write(stream: object, samples: Samples, rate: int, channels: int, token: CancelToken) -> None:
    step = rate * _WRITE_MS // 1000
    for at in range(0, len(samples), step):
        token.raise_if_cancelled()
        block = samples[at : at + step]
        stream.write(np.repeat(block[:, None], channels, axis=1))  # type: ignore[attr-defined]
