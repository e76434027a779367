"""Several runs of the bench as one table: `python -m tests.figures.pooled RUN [RUN ...]`.

For runs that differ in their recordings only, such as those of the four parts that
`tests.figures.endpoint` writes. n counts trials that were not disturbed. The clips come round
again, so an interval draws (or counts) clips and not trials; it is at 95 %.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from edge_assistant.bench.metrics.statistics import bootstrap_quantiles, quantile, wilson
from edge_assistant.bench.metrics.values import Sample

QUANTILES: Final = (
    ("turn_taking", "response_gap"),
    ("turn_taking", "gap_by_length[under 2 s]"),
    ("turn_taking", "gap_by_length[2 to 4 s]"),
    ("turn_taking", "gap_by_length[4 s and more]"),
    ("turn_taking", "tokens_computed"),
    ("turn_taking", "tokens_discarded"),
    ("turn_taking", "cpu_talk"),
    ("turn_taking", "peak_rss"),
    ("interruption", "duck_latency"),
    ("interruption", "stop_latency"),
)
SHARES: Final = (
    ("pauses/0.7", "pause_take_any"),
    ("pauses/0.7", "pause_take_tor"),
    ("pauses/1", "pause_take_any"),
    ("pauses/1", "pause_take_tor"),
)
Found = dict[str, dict[tuple[str, str], list[Sample]]]


def read(run: Path) -> list[tuple[str, str, str, dict[str, Any]]]:
    """(system, trial, clip, values) of the trials that count."""
    clips = {}
    for path in run.glob("trials/*/trial.json"):
        trial = json.loads(path.read_text(encoding="utf-8"))["trial"]
        clips[trial["id"]] = trial["stimuli"][-1]["label"]
    rows = json.loads((run / "report.json").read_text(encoding="utf-8"))["trials"]
    kept = (row for row in rows if not row["void"])
    return [(row["system"], row["id"], clips[row["id"]], row["values"]) for row in kept]


def pooled(runs: list[Path]) -> Found:
    found: Found = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for system, trial, clip, values in read(run):
            for scenario, name in (*QUANTILES, *SHARES):
                if trial.startswith(f"{scenario}/") and name in values:
                    found[system][scenario, name].append(Sample(trial=clip, value=values[name]))
    return found


def told(samples: list[Sample], share: float | None) -> str:
    """A quantile, or (`share` None) a proportion, with its interval."""
    values = [sample.value for sample in samples]
    clips = len({sample.trial for sample in samples})
    if share is None:
        hits = sum(values) / len(values)
        low, high = wilson(hits * clips, clips)
        return f"{hits:.0%} ({low:.0%} to {high:.0%})"
    ((low, high),) = bootstrap_quantiles(samples, [share])
    return f"{quantile(values, share):.3g} ({low:.3g} to {high:.3g})"


def main() -> None:
    found = pooled([Path(each) for each in sys.argv[1:]])
    print("| measure | system | p50 or share | p90 | n | clips |\n|---|---|---|---|---|---|")
    for scenario, name in (*QUANTILES, *SHARES):
        for system, measures in sorted(found.items()):
            samples = measures.get((scenario, name), [])
            if not samples:
                continue
            is_share = (scenario, name) in SHARES
            p50, p90 = told(samples, None if is_share else 0.5), told(samples, 0.9)
            size = f"{len(samples)} | {len({sample.trial for sample in samples})}"
            print(f"| {scenario} {name} | {system} | {p50} | {'' if is_share else p90} | {size} |")


if __name__ == "__main__":
    main()
