"""What a round of measuring gives, and what each figure is called."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from edge_assistant.bench.machine import Machine

Stage = Literal["stt", "llm", "tts", "vad", "turn", "abort"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""In the order in which they are measured and shown."""

Unit = Literal["s", "share", "ratio", "tokens", "tokens/s"]

WER: Final = "wer"
"""Of the words that were heard, not of a reading; its rows carry the kind of speech."""


class Metric(msgspec.Struct, frozen=True):
    """One figure of a stage."""

    title: str
    unit: Unit
    more_is_better: bool = False


_OPENING: Final = {
    "load_s": Metric("load", "s"),
    "first_call_s": Metric("first call", "s"),
}

METRICS: Final[dict[Stage, dict[str, Metric]]] = {
    "stt": {
        **_OPENING,
        "rtf": Metric("real-time factor", "ratio"),
        WER: Metric("words wrong", "share"),
    },
    "llm": {
        **_OPENING,
        "prefill_rate": Metric("prefill", "tokens/s", more_is_better=True),
        "decode_rate": Metric("decode", "tokens/s", more_is_better=True),
        "ttft_cold_s": Metric("first token, cold", "s"),
        "ttft_prefix_s": Metric("first token, prefix hit", "s"),
        "ttft_again_s": Metric("first token, prompt again", "s"),
        "ttft_exact_s": Metric("first token, exact hit", "s"),
        "prompt_tokens": Metric("prompt", "tokens"),
        "new_tokens": Metric("of it new after prefix", "tokens"),
    },
    "tts": {
        **_OPENING,
        "rtf": Metric("real-time factor", "ratio"),
        "first_audio_s": Metric("first audio", "s"),
    },
    "vad": {
        **_OPENING,
        "cpu_rtf": Metric("CPU s per s of audio", "ratio"),
        "window_s": Metric("window", "s"),
        "window_p99_s": Metric("window, 99th percentile", "s"),
    },
    "turn": {
        **_OPENING,
        "call_s": Metric("call", "s"),
        "call_cpu_s": Metric("CPU of a call", "s"),
    },
    "abort": {
        "stt": Metric("recognition", "s"),
        "llm_prefill": Metric("prefill", "s"),
        "llm_decode": Metric("decode", "s"),
        "tts": Metric("speech", "s"),
        "turn": Metric("turn detector", "s"),
    },
}
"""docs/engine-bench.md defines each of them; a test compares the two."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One value that was measured."""

    stage: Stage
    metric: str
    """A key of `METRICS[stage]`."""
    model: str
    value: float


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a recogniser made of one clip, without the words themselves."""

    model: str
    clip: str
    kind: str
    edits: int
    words: int
    """Of the reference; `edits` can be more."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that could not be measured, or not to the end."""

    stage: Stage | Literal["all"]
    """`all`: a whole build, of which no model is known."""
    model: str
    code: str
    message: str
    hint: str = ""


class Round(msgspec.Struct, kw_only=True):
    """Every engine once. It fills while it is measured."""

    index: int
    build: str = ""
    readings: list[Reading] = []
    heard: list[Heard] = []
    failures: list[Failure] = []
    load: float = 0.0
    """Load average of the last minute at its end."""
    steal_share: float = 0.0
    """CPU time that the hypervisor took, of the round's wall time on all cores."""
    disturbed: str = ""
    """Why it does not count, if others do; empty: it was not disturbed."""
    version: str = ""
    """Of the edge_assistant that measured it, where that is another process; as `machine`."""
    machine: Machine | None = None
    """As that process sees it: its Python, its libraries."""
