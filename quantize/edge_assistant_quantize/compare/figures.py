"""From rounds and answers to figures: medians and rates, each beside the reference's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from edge_assistant.bench.metrics.statistics import (
    Interval,
    are_enough,
    bootstrap_ratio,
    quantile,
)
from edge_assistant.bench.metrics.values import Sample
from edge_assistant.engine_bench.readings import METRICS, WER, Round
from edge_assistant.engine_bench.report import Row, rows
from edge_assistant_quantize.compare.messages import Answer, Candidate, Read, Subject, Window
from edge_assistant_quantize.compare.results import Line, Value

SHOWN: Final[dict[Subject, tuple[str, ...]]] = {
    "llm": ("load_s", "prefill_rate", "decode_rate", "ttft_cold_s"),
    "stt": ("load_s", "first_call_s", "rtf"),
    "tts": ("load_s", "first_call_s", "rtf", "first_audio_s"),
}
"""Figures of the bench of engines, as docs/engine-bench.md defines them."""

WER_MEAN: Final = "wer_mean"
"""Mean of the kinds of speech, which are never pooled."""

Better = Literal["less", "more"]


def of_files(models: Sequence[Candidate]) -> Line:
    """Size on disk."""
    sizes = {each.label: float(each.size_bytes) for each in models}
    return _plain("size_bytes", "size on disk", "bytes", sizes, models[0].label)


def of_memory(models: Sequence[Candidate], answers: Mapping[str, list[Answer]]) -> Iterator[Line]:
    """Peak of the whole process, and what came to it with the model; medians of the rounds."""
    peaks: dict[str, float] = {}
    grown: dict[str, float] = {}
    for model in models:
        found = [
            (each.peak_rss_bytes, each.base_rss_bytes)
            for each in answers.get(model.label, [])
            if each.peak_rss_bytes is not None and each.base_rss_bytes is not None
        ]
        if found:
            peaks[model.label] = quantile([peak for peak, _ in found], 0.5)
            grown[model.label] = quantile([peak - base for peak, base in found], 0.5)
    first = models[0].label
    if peaks:
        yield _plain("peak_rss_bytes", "peak memory of the process", "bytes", peaks, first)
        yield _plain("model_rss_bytes", "of it with the model", "bytes", grown, first)


def of_rounds(models: Sequence[Candidate], rounds: Sequence[Round], seed: int) -> list[Line]:
    """Speed, and words wrong."""
    kind, first = models[0].kind, models[0].label
    found = rows(rounds, [each.label for each in models], seed=seed)
    lines = []
    for key in SHOWN[kind]:
        about = METRICS[kind][key]
        chosen = [row for row in found if row.stage == kind and row.metric == key]
        if chosen:
            better: Better = "more" if about.more_is_better else "less"
            lines.append(_line(key, about.title, about.unit, better, "ratio", chosen, first))
    wrong = dict.fromkeys(row.metric for row in found if row.metric.startswith(WER))
    for key in wrong:
        chosen = [row for row in found if row.metric == key]
        title = f"words wrong, {key.removeprefix(WER).strip('[]')}"
        lines.append(_line(key, title, "share", "less", "difference", chosen, first))
    if wrong:
        lines.append(_mean_of_kinds(lines[-len(wrong) :]))
    return lines


def of_reading(models: Sequence[Candidate], reads: Mapping[str, Read]) -> list[Line]:
    """Perplexity and its like; a divergence only of models with the reference's tokens."""
    first = models[0].label
    every = {each.label: reads[each.label] for each in models if each.label in reads}
    alike = {label: read for label, read in every.items() if read.is_comparable}
    lines = [*_divergence(alike), *_by_token(alike, first)] if len(alike) > 1 else []
    bits = {label: _bits(every, label, first) for label in every}
    passed = {label: _passed(every, label, first) for label in every}
    return [
        *lines,
        _read_line("bits_per_byte", "bits a byte of text", "bits", bits, versus="difference"),
        _read_line("tasks", "tasks passed", "tasks", passed, better="more", versus="difference"),
    ]


def _divergence(every: Mapping[str, Read]) -> Iterator[Line]:
    title = "KL divergence from the reference, mean"
    mean = {label: _rate(read, "kl") for label, read in every.items()}
    yield _read_line("kl", title, "nats", mean)
    high = {
        label: Value(value=read.kl_high, n=sum(each.rows for each in read.windows))
        for label, read in every.items()
        if read.kl_high is not None
    }
    yield _read_line("kl_p99", "99th percentile of it", "nats", high)


def _by_token(every: Mapping[str, Read], first: str) -> Iterator[Line]:
    title = "same likeliest token as the reference"
    same = {label: _rate(read, "same") for label, read in every.items()}
    yield _read_line("same_top", title, "share", same, better="more")
    perplexity = {label: _perplexity(every, label, first) for label in every}
    yield _read_line("perplexity", "perplexity a token", "", perplexity, versus="ratio")


def _read_line(
    key: str,
    title: str,
    unit: str,
    values: dict[str, Value],
    *,
    better: Better = "less",
    versus: Literal["ratio", "difference", ""] = "",
) -> Line:
    return Line(key=key, title=title, unit=unit, better=better, versus=versus, values=values)


def of_sounds(
    models: Sequence[Candidate],
    distances: Mapping[str, Sequence[float]],
    durations: Mapping[str, float],
) -> list[Line]:
    """Distance of each voice from the reference, whose own is that of saying it all once more."""
    first = models[0].label
    values = {}
    for label, each in distances.items():
        low, high = _ends([Sample(trial=str(at), value=found) for at, found in enumerate(each)])
        values[label] = Value(value=float(np.mean(each)), low=low, high=high, n=len(each))
    return [
        Line(
            key="mel_distance",
            title="log-mel distance from the reference",
            unit="dB",
            better="less",
            versus="",
            values=values,
        ),
        _plain("spoken_s", "how long the sentences take", "s", dict(durations), first, better=""),
    ]


def _plain(
    key: str,
    title: str,
    unit: str,
    values: Mapping[str, float],
    first: str,
    *,
    better: Literal["less", ""] = "less",
) -> Line:
    own = values.get(first)
    return Line(
        key=key,
        title=title,
        unit=unit,
        better=better,
        versus="ratio",
        values={
            label: Value(value=value, versus=value / own if own and label != first else None)
            for label, value in values.items()
        },
    )


def _line(
    key: str,
    title: str,
    unit: str,
    better: Better,
    versus: Literal["ratio", "difference"],
    chosen: Sequence[Row],
    first: str,
) -> Line:
    values = {}
    for row in chosen:
        # Where the reference has no such figure, another stands in its place: not for us.
        beside = row.against if row.against and row.against.model == first else None
        values[row.model] = Value(
            value=row.value,
            low=row.low,
            high=row.high,
            n=row.n,
            versus=beside.value if beside else None,
            versus_low=beside.low if beside else None,
            versus_high=beside.high if beside else None,
        )
    return Line(key=key, title=title, unit=unit, better=better, versus=versus, values=values)


def _mean_of_kinds(kinds: Sequence[Line]) -> Line:
    labels = [label for label in kinds[0].values if all(label in kind.values for kind in kinds)]
    values = {}
    for label in labels:
        each = [kind.values[label] for kind in kinds]
        beside = [one.versus for one in each if one.versus is not None]
        values[label] = Value(
            value=float(np.mean([one.value for one in each])),
            n=sum(one.n for one in each),
            versus=float(np.mean(beside)) if len(beside) == len(each) else None,
        )
    return Line(
        key=WER_MEAN,
        title="words wrong, mean of the kinds",
        unit="share",
        better="less",
        versus="difference",
        values=values,
    )


def _rate(read: Read, value: Literal["kl", "same"]) -> Value:
    samples = [
        Sample(trial=str(at), value=getattr(each, value), exposure=each.rows)
        for at, each in enumerate(read.windows)
        if each.rows
    ]
    low, high = _ends(samples)
    return Value(value=_ratio(samples), low=low, high=high, n=sum(w.rows for w in read.windows))


def _perplexity(reads: Mapping[str, Read], label: str, first: str) -> Value:
    read = reads[label]
    samples = [
        Sample(trial=str(at), value=each.nll, exposure=each.tokens)
        for at, each in enumerate(read.windows)
    ]
    low, high = _ends(samples)
    beside, ends = _beside(reads, label, first, "tokens")
    return Value(
        value=math.exp(_ratio(samples)),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        n=sum(each.tokens for each in read.windows),
        versus=None if beside is None else math.exp(beside),
        versus_low=None if ends is None else math.exp(ends[0]),
        versus_high=None if ends is None else math.exp(ends[1]),
    )


def _bits(reads: Mapping[str, Read], label: str, first: str) -> Value:
    read = reads[label]
    samples = [
        Sample(trial=str(at), value=each.nll / math.log(2), exposure=each.size_bytes)
        for at, each in enumerate(read.windows)
    ]
    low, high = _ends(samples)
    nats, ends = _beside(reads, label, first, "size_bytes")
    return Value(
        value=_ratio(samples),
        low=low,
        high=high,
        n=sum(each.size_bytes for each in read.windows),
        versus=None if nats is None else nats / math.log(2),
        versus_low=None if ends is None else ends[0] / math.log(2),
        versus_high=None if ends is None else ends[1] / math.log(2),
    )


def _beside(
    reads: Mapping[str, Read], label: str, first: str, unit: Literal["tokens", "size_bytes"]
) -> tuple[float | None, Interval | None]:
    """Nats a unit more than the reference, and the interval where their windows are the same."""
    if label == first or first not in reads:
        return None, None
    mine, own = reads[label].windows, reads[first].windows
    if not reads[label].is_comparable:
        return _total(mine, unit) - _total(own, unit), None
    samples = [
        Sample(trial=str(at), value=each.nll - other.nll, exposure=getattr(each, unit))
        for at, (each, other) in enumerate(zip(mine, own, strict=True))
    ]
    low, high = _ends(samples)
    return _ratio(samples), None if low is None or high is None else (low, high)


def _total(windows: Sequence[Window], unit: Literal["tokens", "size_bytes"]) -> float:
    exposure: float = sum(getattr(each, unit) for each in windows)
    return sum(each.nll for each in windows) / exposure


def _passed(reads: Mapping[str, Read], label: str, first: str) -> Value:
    count = _passes(reads[label])
    own = _passes(reads[first]) if label != first and first in reads else None
    return Value(
        value=count,
        n=len(reads[label].answers),
        versus=None if own is None else float(count - own),
    )


def _passes(read: Read) -> int:
    return sum(not each.faults for each in read.answers)


def _ratio(samples: Sequence[Sample]) -> float:
    return sum(each.value for each in samples) / sum(each.exposure for each in samples)


def _ends(samples: Sequence[Sample]) -> tuple[float | None, float | None]:
    return bootstrap_ratio(samples) if are_enough(samples) else (None, None)
