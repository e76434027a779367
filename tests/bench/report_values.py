"""A report made by hand, with the sort of values that a run gives; the sound is made here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.bench.report import trade_off
from edge_assistant.bench.report.envelope import envelope, flac
from edge_assistant.bench.report.model import (
    Component,
    Examined,
    Figure,
    Machine,
    Mark,
    Report,
    Span,
    Timeline,
    TrialRow,
)
from edge_assistant.bench.trial import Source

STEP_S = 0.02


def speech(length_s: float, spans: tuple[tuple[float, float], ...], seed: int) -> Samples:
    """Something with the rise and fall of speech between the given seconds, and silence around."""
    rng = np.random.default_rng(seed)
    out = np.zeros(round(length_s * SAMPLE_RATE), dtype=np.float32)
    for begin, end in spans:
        a, b = round(begin * SAMPLE_RATE), round(end * SAMPLE_RATE)
        t = np.arange(b - a) / SAMPLE_RATE
        syllables = np.abs(np.sin(2 * np.pi * 2.3 * t + rng.uniform(0, 3))) ** 1.5
        voice = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 6))
        out[a:b] = (0.22 * syllables * voice).astype(np.float32)
    return out


def timeline(said: str, replied: str, gap_s: float, sound: bool) -> Timeline:
    """The user speaks from 0.4 to 2.6 s, then there is a reply, then an interruption."""
    begin = 2.6 + gap_s
    user = speech(9.0, ((0.4, 2.6), (begin + 2.0, begin + 2.9)), 1)
    reply = speech(9.0, ((begin, begin + 2.6),), 2)
    return Timeline(
        step_s=STEP_S,
        user=envelope(user, STEP_S),
        reply=envelope(reply, STEP_S),
        spans=(
            Span(begin_s=0.4, end_s=2.6, who="user", text=said, label="question"),
            Span(begin_s=begin, end_s=begin + 2.6, who="system", text=replied),
            Span(
                begin_s=begin + 2.0, end_s=begin + 2.9, who="user", text="No, wait.", label="stop"
            ),
        ),
        marks=(
            Mark(at_s=2.61, name="speech_ended"),
            Mark(at_s=begin - 0.1, name="committed"),
            Mark(at_s=begin - 0.02, name="playback_started"),
            Mark(at_s=begin + 2.1, name="ducked"),
            Mark(at_s=begin + 2.5, name="yielded", text=replied),
            Mark(at_s=begin + 2.6, name="odd"),
        ),
        audio=flac(user, reply) if sound else b"",
    )


def rows(system: str, source: Source, shift: float, n: int) -> list[TrialRow]:
    """`n` finished questions of a system that answers about `shift` seconds after the end."""
    rng = np.random.default_rng([n, len(system), len(source)])
    found = []
    for at in range(n):
        gap = float(shift + rng.gamma(2.0, 0.12) - 0.15)
        silent = at == n - 1
        void = "a block came back 0.21 s late" if at == 2 else ""
        slow = at % 7 == 3
        gap += 1.2 if slow else 0.0
        found.append(
            TrialRow(
                id=f"turn_taking/request/{source}/{at:03d}",
                scenario="turn_taking",
                condition="request",
                source=source,
                system=system,
                seed=7 + at,
                outcome="no answer" if silent else "answered late" if slow else "answered",
                fault=1.0 if silent else min(1.0, max(0.0, gap / 2.5 - 0.3)),
                void=void,
                gap_s=None if silent or void else gap,
                expects_gap=True,
                values={"stop_latency": 0.41} if slow else {},
                stages={}
                if silent or system == "naive loop"
                else {
                    "detect_s": 0.11,
                    "wait_s": gap * 0.5,
                    "not_ready_s": gap * 0.2,
                    "out_s": 0.04,
                    "leading_silence_s": 0.03,
                },
                timeline=timeline("What is on for today?", "Nothing at all.", gap, sound=slow)
                if slow or silent
                else None,
            )
        )
    return found


def figures(system: str, source: Source, shift: float) -> list[Figure]:
    """The figures of a system, each with an interval."""

    def one(scenario: str, condition: str, name: str, value: float, unit: str, n: int) -> Figure:
        width = 0.1 if unit == "share" else 0.08
        return Figure(
            scenario=scenario,
            condition=condition,
            source=source,
            system=system,
            name=name,
            value=value,
            unit=unit,
            n=n,
            low=max(0.0, value - width),
            high=min(1.0, value + width) if unit == "share" else value + width,
            voids=1,
        )

    found = [
        one("turn_taking", "", "response_gap_p50", shift + 0.12, "s", 24),
        one("turn_taking", "", "response_gap_p90", shift + 0.61, "s", 24),
        one("turn_taking", "", "takeover", 0.96, "share", 24),
        one("turn_taking", "", "fdb_turn_latency", shift + 0.2, "s", 23),
        one("turn_taking", "", "gap_by_length_p50[under 2 s]", shift + 0.08, "s", 9),
        one("turn_taking", "", "gap_by_length_p90[under 2 s]", shift + 0.55, "s", 9),
        one("interruption", "", "stopped", 0.83, "share", 12),
        one("interruption", "", "stop_latency_p50", 0.9 - 0.4 * shift, "s", 12),
        one("interruption", "", "stop_latency_p95", 1.4 - 0.4 * shift, "s", 12),
        one("backchannel", "", "floor_kept[backchannel]", 0.75, "share", 12),
    ]
    for at, length in enumerate(("0.3 s", "0.5 s", "0.7 s", "1.0 s", "1.5 s")):
        share = min(1.0, (0.02 + 0.09 * at) * (1.6 - shift))
        found.append(one("pauses", "", f"pause_take_any[{length}]", share, "share", 8))
    found.append(one("pauses", "", "pause_take_any", 0.2, "share", 40))
    return found


def example() -> Report:
    """Two systems, two sources, void trials, unanswered ones, and what was not measured."""
    ours, naive = "edge-assistant", "naive loop"
    trials = (
        *rows(ours, "real", 0.3, 26),
        *rows(ours, "synthetic", 0.25, 14),
        *rows(naive, "real", 1.3, 26),
    )
    nothing = Figure(
        scenario="silence",
        condition="",
        source="real",
        system=naive,
        name="phantom_turns",
        value=None,
        unit="per hour",
        n=0,
        voids=2,
    )
    report = Report(
        title="How well does it hold a conversation?",
        date="2026-11-21T05:00:00Z",
        bench_version="0.1.0",
        seed=7,
        machine=Machine(
            processor="AMD EPYC, 2.6 GHz",
            cores=2,
            memory_bytes=23 * 2**30,
            system="Linux 6.1",
            python="3.11.2",
            load=1.7,
            steal_s=0.31,
        ),
        systems=(
            Examined(
                name=ours,
                command=("edge-assistant", "converse", "--pipe"),
                version="0.1.0",
                models={"stt": "moonshine-tiny-en", "llm": "smollm2-135m"},
                trials=40,
                voids=2,
            ),
            Examined(name=naive, command=("python", "naive.py"), trials=26, voids=1),
        ),
        figures=(
            *figures(ours, "real", 0.3),
            *figures(ours, "synthetic", 0.25),
            *figures(naive, "real", 1.3),
            nothing,
        ),
        trials=trials,
        composite=(
            Component(
                label="Median gap",
                name="response_gap_p50",
                scenario="turn_taking",
                good=0.2,
                bad=1.5,
                weight=3,
                unit="s",
            ),
            Component(
                label="Take-over in pauses",
                name="pause_take_any",
                scenario="pauses",
                good=0.0,
                bad=0.5,
                weight=3,
                unit="share",
            ),
            Component(
                label="Phantom turns",
                name="phantom_turns",
                scenario="silence",
                good=0.0,
                bad=30.0,
                weight=1,
                unit="per hour",
            ),
        ),
        notes=("No norms with a source for German: it has no entry.",),
    )
    return replace(report, trade_offs=trade_off.found(report))
