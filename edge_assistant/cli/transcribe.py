"""`edge-assistant transcribe`: files to text with times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import emit, progress, report
from edge_assistant.cli.process import in_worker
from edge_assistant.errors import AudioFormatError

if TYPE_CHECKING:
    from edge_assistant.audio.format import Samples
    from edge_assistant.cancel import CancelToken
    from edge_assistant.config import Config
    from edge_assistant.stt.protocol import Recognizer, Segment
    from edge_assistant.vad.protocol import VoiceActivityDetector

_SPLIT_PAUSE_MS = 500
"""Silence at which a file is split into utterances: long enough to lie between sentences."""

_MARGIN_MS = 300
"""Kept around an utterance, so that no soft first or last sound is lost."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document, a list of files.")
@click.option("--srt", "as_srt", is_flag=True, help="Subtitles, for one file.")
@takes_config("stt")
def transcribe(files: tuple[Path, ...], as_json: bool, as_srt: bool, config: Config) -> int:
    """Turn sound FILES of any rate and number of channels into text with times."""
    if as_json and as_srt:
        raise click.UsageError("Either --json or --srt.")
    if as_srt and len(files) > 1:
        raise click.UsageError("--srt takes one file.")
    return in_worker(lambda token: _transcribe(files, as_json, as_srt, config, token), "stt")


def _transcribe(
    files: tuple[Path, ...], as_json: bool, as_srt: bool, config: Config, token: CancelToken
) -> int:
    from edge_assistant.audio.files import read_sound
    from edge_assistant.audio.format import SAMPLE_RATE
    from edge_assistant.pipeline.engines import build_recognizer, build_vad
    from edge_assistant.store.store import Store

    store = Store.default()
    results: list[dict[str, Any]] = []
    with closing(build_recognizer(config, store)) as recognizer:
        vad = build_vad(config, store)
        for file in files:
            try:
                audio = read_sound(file)
            except AudioFormatError as error:  # the other files are still worth reading
                report(error)
                continue
            vad.reset()
            progress(f"{file}: looking for speech")
            try:
                segments = list(_segments(audio, recognizer, vad, config, token, str(file)))
            finally:
                progress("")
            if not as_json:
                _print(file, segments, as_srt, with_name=len(files) > 1)
            results.append(
                {
                    "file": str(file),
                    "duration_s": round(len(audio) / SAMPLE_RATE, 3),
                    "text": " ".join(segment.text for segment in segments),
                    "segments": [
                        {"start_s": s.start_s, "end_s": s.end_s, "text": s.text} for s in segments
                    ],
                }
            )
    if as_json:
        emit(results)
    return 0 if len(results) == len(files) else 74


def _segments(
    audio: Samples,
    recognizer: Recognizer,
    vad: VoiceActivityDetector,
    config: Config,
    token: CancelToken,
    name: str,
) -> Iterator[Segment]:
    """Segments with times in the file; silence is skipped, so that nothing is made of noise."""
    from edge_assistant.audio.format import SAMPLE_RATE
    from edge_assistant.stt.protocol import Segment

    for start, end in utterances(audio, vad, config):
        progress(f"{name}: {start / SAMPLE_RATE:.0f} of {len(audio) / SAMPLE_RATE:.0f} s")
        transcript = recognizer.transcribe(audio[start:end], token)
        for segment in transcript.segments:
            if segment.text:
                yield Segment(
                    text=segment.text,
                    start_s=round(start / SAMPLE_RATE + segment.start_s, 3),
                    end_s=round(min(end / SAMPLE_RATE, start / SAMPLE_RATE + segment.end_s), 3),
                )


def utterances(audio: Samples, vad: VoiceActivityDetector, config: Config) -> list[tuple[int, int]]:
    """Where somebody speaks, in frames: (start, end), in order, with margins, none too long."""
    from edge_assistant.audio.format import frames_of_ms
    from edge_assistant.vad.segmenter import Segmenter

    segmenter = Segmenter(
        speech_threshold=config.vad.speech_threshold,
        silence_threshold=config.vad.silence_threshold,
        min_speech_ms=config.turns.min_speech_ms,
        pause_ms=_SPLIT_PAUSE_MS,
        onset_ms=config.turns.onset_ms,
    )
    size, longest = vad.window_frames, frames_of_ms(config.turns.max_utterance_ms)
    margin = frames_of_ms(_MARGIN_MS)
    spans: list[tuple[int, int]] = []
    since: int | None = None
    for at in range(size, len(audio) + 1, size):
        edges = segmenter.window(vad.speech_prob(audio[at - size : at]), at, size)
        for edge in edges:
            if edge.kind == "started":
                since = edge.since_frames
            elif edge.kind == "paused" and since is not None:
                spans.append((since, edge.since_frames))
                since = None
        if since is not None and at - since >= longest:
            spans.append((since, at))
            since = at
    if since is not None:
        spans.append((since, len(audio)))
    if not spans:
        return []
    # Two neighbours share the silence between them, so that no word is heard twice.
    middles = [(before[1] + after[0]) // 2 for before, after in pairwise(spans)]
    return [
        (max(start - margin, earliest), min(end + margin, latest))
        for (start, end), earliest, latest in zip(
            spans, [0, *middles], [*middles, len(audio)], strict=True
        )
    ]


def _print(file: Path, segments: list[Segment], as_srt: bool, *, with_name: bool) -> None:
    if as_srt:
        for number, segment in enumerate(segments, 1):
            span = f"{_clock(segment.start_s, ',')} --> {_clock(segment.end_s, ',')}"
            click.echo(f"{number}\n{span}\n{segment.text}\n")
        return
    if with_name:
        click.echo(f"{file}:")
    for segment in segments:
        click.echo(f"[{_clock(segment.start_s)} - {_clock(segment.end_s)}] {segment.text}")


def _clock(time_s: float, separator: str = ".") -> str:
    total_ms = round(time_s * 1000)
    seconds, ms = divmod(total_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{ms:03d}"
