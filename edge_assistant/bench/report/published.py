"""Full-Duplex-Bench v1.0 beside our figures of the same name.

Published: the table of DanielLin94144/Full-Duplex-Bench at d7336bd, v1_v1.5/README.md, which was
measured on other recordings (Candor, ICC, synthetic) and on servers. Ours follow its formulae on
our own scenarios (`metrics.full_duplex_bench`), so the two may be looked at together, not ranked.
"""

from __future__ import annotations

from typing import Final

from edge_assistant.bench.report import words
from edge_assistant.bench.report.model import Report
from edge_assistant.bench.report.pick import groups

HEAD: Final = (
    "system",
    "pause TOR",
    "turn TOR",
    "turn latency",
    "interruption TOR",
    "interruption latency",
    "backchannel TOR",
)
_COLUMNS: Final = (
    ("fdb_pause_tor", "pauses"),
    ("fdb_turn_tor", "turn_taking"),
    ("fdb_turn_latency", "turn_taking"),
    ("fdb_interruption_tor", "interruption"),
    ("fdb_interruption_latency", "interruption"),
    ("fdb_backchannel_tor", "monologue"),
)

PUBLISHED: Final = (
    ("PersonaPlex", "58 % / 66 %", "99 %", "0.07 s", "100 %", "0.40 s", "33 %"),
    ("dGSLM", "93 % / 94 %", "98 %", "0.35 s", "92 %", "2.53 s", "69 %"),
    ("Moshi", "98 % / 98 %", "94 %", "0.27 s", "100 %", "0.26 s", "100 %"),
    ("Freeze-Omni", "64 % / 48 %", "34 %", "0.95 s", "87 %", "1.41 s", "64 %"),
    ("Gemini Live 2.0", "26 % / 31 %", "66 %", "1.30 s", "89 %", "1.18 s", "9.1 %"),
    ("GPT-Realtime", "1 % / 12 %", "100 %", "1.47 s", "97 %", "1.50 s", "0 %"),
)
"""As published, rounded to our digits; pauses synthetic / Candor."""

CAVEATS: Final = (
    "Other recordings, other machines: look at the two together, do not rank them.",
    "A latency below 0 counts as 0 there, and only trials with a take-over count: who starts too "
    "early looks quick.",
    "The first word of a file counts even if it came before the user's end, and a system that "
    "never stops talking has the shortest interruption latency.",
    "The original counts words of a recogniser; here audible runs and, where there is one, the "
    "system's log stand in.",
)


def ours(report: Report) -> list[tuple[str, ...]]:
    """A row for each system and source that has any of these figures."""
    found = []
    values = {
        (f.system, str(f.source), f.name, f.scenario): f
        for f in report.figures
        if not f.condition and f.value is not None
    }
    for system, source in groups(report):
        picked = [values.get((system, source, name, scene)) for name, scene in _COLUMNS]
        if any(picked):
            cells = (
                words.NOT_MEASURED if f is None else f"{words.number(f.value, f.unit)} (n = {f.n})"
                for f in picked
            )
            found.append((f"{system}, {words.source(source)}", *cells))
    return found
