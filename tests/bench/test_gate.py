"""The gate: what is worse is called so, what is noise or too little is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edge_assistant.bench import gate
from edge_assistant.bench.examiner import FAILED
from edge_assistant.bench.gate import Judgement, Limit, Pairs, Row, judge, judge_pairs
from edge_assistant.bench.trial import Outcome
from tests.bench.metrics_makers import channel, outcome, played, spoken

GAP = Limit(scenario="turn_taking", measure="response_gap_p50", ratio=1.15)
STOP = Limit(scenario="interruption", measure="stop_latency_p50", ratio=1.2)
TAKEOVER = Limit(scenario="turn_taking", measure="takeover", drop=0.15)
PAUSES = Limit(scenario="pauses", measure="pause_take_any", rise=0.15)
ANSWERED = Limit(scenario="interruption", measure="answered", drop=0.2)
STOPPED = Limit(scenario="interruption", measure="stopped", drop=0.15)
FLOOR = Limit(scenario="backchannel", measure="floor_kept[backchannel]", drop=0.15)
HEARD = Limit(measure="heard_exact[finished]", drop=0.15)
FAILURES = Limit(measure="failed", rise=0.05)
QUESTION = played("question", (0.2, 1.2))


def answer(number: int, system: str, gap_s: float | None, **more: Any) -> Outcome:
    """A question until 1.2 s, and a reply of a second `gap_s` later, or none."""
    span = [] if gap_s is None else [(1.2 + gap_s, 2.2 + gap_s)]
    id_ = f"turn_taking/request/synthetic/{number:03d}"
    return outcome(channel(5.0, *span), QUESTION, id=id_, system=system, **more)


def run_of(
    baseline_s: Sequence[float | None], candidate_s: Sequence[float | None]
) -> list[Outcome]:
    """Both systems in the same trials, with these gaps."""
    gaps = {"baseline": baseline_s, "candidate": candidate_s}
    return [
        answer(number, system, gap_s)
        for system, found in gaps.items()
        for number, gap_s in enumerate(found)
    ]


def noisy_gaps(seed: int, count: int = 20, slower_s: float = 0.0) -> list[float | None]:
    """Some questions take longer than others, whoever answers; the rest is chance."""
    of_trial = 0.5 + 0.02 * np.arange(count)
    chance = np.random.default_rng(seed).normal(0.0, 0.03, count)
    return [float(each) for each in of_trial + chance + slower_s]


def only(found: Judgement) -> Row:
    (row,) = found.rows
    return row


def judged(outcomes: Sequence[Outcome], limit: Limit) -> Row:
    return only(judge(outcomes, [limit], "baseline", "candidate"))


def test_300_ms_more_are_worse() -> None:
    row = judged(run_of(noisy_gaps(1), noisy_gaps(2, slower_s=0.3)), GAP)
    assert row.verdict == "worse"
    assert (row.pairs, row.left_out, row.unit, row.source) == (20, 0, "s", "synthetic")
    assert row.baseline == pytest.approx(0.69, abs=0.05)
    assert row.change == pytest.approx(0.99 / 0.69, abs=0.1)
    assert row.low is not None
    assert row.low > 1.15


def test_equal_builds_are_the_same_and_a_quicker_one_is_better() -> None:
    assert judged(run_of(noisy_gaps(1), noisy_gaps(2)), GAP).verdict == "same"
    assert judged(run_of(noisy_gaps(1, slower_s=0.3), noisy_gaps(2)), GAP).verdict == "better"


def test_a_little_slower_is_the_same_and_said() -> None:
    exact = [0.5 + 0.02 * number for number in range(20)]
    row = judged(run_of(exact, [1.08 * gap_s for gap_s in exact]), GAP)
    assert (row.verdict, row.reason) == ("same", "worse than the baseline, within the limit")


def test_three_pairs_prove_nothing() -> None:
    row = judged(run_of(noisy_gaps(1, 3), noisy_gaps(2, 3, slower_s=0.9)), GAP)
    assert row.verdict == "unknown"
    assert row.reason == "too few pairs: at least 10 are needed"
    assert row.baseline is not None
    assert row.change is None


def test_a_machine_that_is_all_noise_fails_no_build() -> None:
    generator = np.random.default_rng(4)
    pairs = np.exp(generator.normal(0.0, 1.0, (20, 2))) * [1.0, 1.3]
    row = judge_pairs(GAP, pairs)
    assert row.change is not None
    assert row.change > 1.15
    assert (row.verdict, row.reason[:17]) == ("unknown", "the interval hold")


def test_only_pairs_count() -> None:
    """Void in one, without a reply in the other, run by one alone: all left out, and said."""
    outcomes = run_of([*[0.5] * 12, 0.5, None], [*[0.6] * 12, 0.6, 0.6])
    outcomes[12] = answer(12, "baseline", 2.0, void="disturbed: a block 300 ms late")
    outcomes.append(answer(14, "candidate", 2.0))
    outcomes.append(answer(0, "a third", 2.0))
    row = judged(outcomes, GAP)
    assert (row.pairs, row.left_out, row.verdict) == (12, 3, "worse")
    assert row.change == pytest.approx(1.2, abs=0.001)


def test_recorded_and_made_speech_are_judged_apart() -> None:
    made = run_of([0.5] * 12, [0.5] * 12)
    real = [
        outcome(
            channel(5.0, (1.2 + gap_s, 3.0)),
            QUESTION,
            id=f"turn_taking/request/real/{number:03d}",
            system=system,
            source="real",
        )
        for system, gap_s in (("baseline", 0.5), ("candidate", 0.9))
        for number in range(12)
    ]
    found = judge([*made, *real], [GAP, STOP], "baseline", "candidate")
    verdicts = {(row.source, row.measure): row.verdict for row in found.rows}
    assert verdicts == {
        ("real", "response_gap_p50"): "worse",
        ("synthetic", "response_gap_p50"): "same",
        ("real", "stop_latency_p50"): "unknown",
        ("synthetic", "stop_latency_p50"): "unknown",
    }
    assert found.tests == 2


def test_a_program_that_dies_is_worse_though_its_trials_are_void() -> None:
    outcomes = run_of([0.5] * 20, [0.5] * 20)
    for number in range(20, 32):
        outcomes[number] = answer(number - 20, "candidate", None, void=f"{FAILED}it died")
    assert judged(outcomes, FAILURES).verdict == "worse"
    assert judged(outcomes, GAP).pairs == 8
    outcomes[0] = answer(0, "baseline", None, void="disturbed: load")
    row = judged(outcomes, FAILURES)
    assert (row.pairs, row.left_out, row.baseline, row.candidate) == (19, 1, 0.0, 11 / 19)


def test_a_build_that_does_not_reply_is_worse() -> None:
    row = judged(run_of([0.5] * 20, [*[0.5] * 8, *[None] * 12]), TAKEOVER)
    assert (row.verdict, row.baseline, row.candidate, row.kind) == ("worse", 1.0, 0.4, "drop")
    assert row.change == pytest.approx(0.6)


def test_replies_into_pauses_are_worse_when_there_are_more() -> None:
    asked = played("pause", (0.2, 1.2), (2.2, 3.0))

    def paused(number: int, system: str, *, is_taken: bool) -> Outcome:
        reply = channel(6.0, *([(1.5, 2.0)] if is_taken else []), (3.5, 5.0))
        id_ = f"pauses/1/synthetic/{number:03d}"
        return outcome(reply, asked, id=id_, system=system)

    numbers = range(20)
    waits = [paused(number, "baseline", is_taken=number < 2) for number in numbers]
    takes = [paused(number, "candidate", is_taken=number < 14) for number in numbers]
    row = judged([*waits, *takes], PAUSES)
    assert (row.verdict, row.baseline, row.candidate) == ("worse", 0.1, 0.7)
    assert judge([*waits, *takes], [PAUSES], "candidate", "baseline").rows[0].verdict == "better"


def interrupted(number: int, system: str, stop_s: float, *, is_understood: bool = True) -> Outcome:
    """A reply from 1.6 s on, talked over from 4 to 5 s, silent `stop_s` after the onset."""
    word = "else" if is_understood else "noise"
    asked = played("question", (0.2, 1.2))
    over = played("interruption", (4.0, 5.0), text="something else please", into_reply=True)
    reply = channel(9.0, (1.6, 4.0 + stop_s), (6.5, 8.0))
    log = (
        *spoken(1, 1.6, 4.0 + stop_s, "grass " * 30, ended="yielded", heard="grass"),
        *spoken(2, 6.5, 8.0, "of course", transcript=f"something {word}"),
    )
    if not is_understood:
        log = tuple(each | {"text": "?"} if each["event"] == "transcript" else each for each in log)
    id_ = f"interruption/topic_change/synthetic/{number:03d}"
    return outcome(reply, asked, over, events=log, id=id_, system=system)


def test_stopping_and_answering_are_judged_from_both_channels_and_the_log() -> None:
    numbers = range(14)
    first = [interrupted(number, "baseline", 0.4) for number in numbers]
    second = [
        interrupted(number, "candidate", 0.6, is_understood=number > 10) for number in numbers
    ]
    found = judge([*first, *second], [STOP, STOPPED, ANSWERED], "baseline", "candidate")
    stop, stopped, answered = found.rows
    assert stop.verdict == "worse"
    assert stop.change == pytest.approx(1.5, abs=0.01)
    assert (stopped.verdict, stopped.baseline, stopped.candidate) == ("unknown", 1.0, 1.0)
    assert answered.verdict == "worse"
    assert answered.candidate == pytest.approx(3 / 14)
    never = [interrupted(number, "candidate", 1.9) for number in numbers]
    found = judge([*first, *never], [STOPPED], "baseline", "candidate")
    assert only(found).verdict == "worse"


def test_a_row_of_a_share_is_judged_by_its_name() -> None:
    asked = played("question", (0.2, 1.2))
    mhm = played("backchannel", (4.0, 4.4), into_reply=True)

    def listened(number: int, system: str, end_s: float) -> Outcome:
        events = spoken(1, 1.6, end_s, "grass of course", heard="grass of course")
        id_ = f"backchannel/response/synthetic/{number:03d}"
        reply = channel(9.0, (1.6, end_s))
        return outcome(reply, asked, mhm, id=id_, system=system, events=events)

    first = [listened(number, "baseline", 8.0) for number in range(20)]
    second = [listened(number, "candidate", 8.0) for number in range(20)]
    found = judge([*first, *second], [FLOOR, HEARD], "baseline", "candidate")
    assert [(row.verdict, row.pairs) for row in found.rows] == [("same", 20), ("same", 20)]
    mute = [listened(number, "candidate", 4.1) for number in range(20)]
    yielded = [
        Outcome(
            **{name: getattr(one, name) for name in Outcome.__dataclass_fields__}
            | {"events": spoken(1, 1.6, 4.1, "grass " * 30, ended="yielded")}
        )
        for one in mute
    ]
    found = judge([*first, *yielded], [FLOOR, HEARD], "baseline", "candidate")
    assert [(row.verdict, row.pairs) for row in found.rows] == [("worse", 20), ("unknown", 0)]


def faultless(count: int) -> Pairs:
    return np.ones((count, 2))


def test_a_few_faultless_trials_are_no_proof() -> None:
    """An interval of no width would call them the same; the two made-up pairs do not let it."""
    few, some = (judge_pairs(TAKEOVER, faultless(count)) for count in (10, 20))
    assert (few.verdict, some.verdict) == ("unknown", "same")
    assert few.low is not None
    assert few.high is not None
    assert -few.low == pytest.approx(few.high, abs=0.06)
    assert few.high > 0.15
    # The rule of three says 3 / 20 for one build alone.
    assert some.high == pytest.approx(0.13, abs=0.03)


def test_with_more_measures_it_takes_more_to_be_worse() -> None:
    generator = np.random.default_rng(20)
    pairs = np.exp(generator.normal(0.0, 0.25, (14, 2))) * [1.0, 1.4]
    alone, among_many = judge_pairs(GAP, pairs), judge_pairs(GAP, pairs, 12)
    assert (alone.low, alone.high) == (among_many.low, among_many.high)
    assert alone.verdict == "worse"
    assert among_many.verdict == "unknown"
    assert "chance" in among_many.reason


@pytest.mark.parametrize(
    ("share", "tests", "least"), [(0.5, 1, 10), (0.5, 12, 10), (0.9, 1, 36), (0.95, 12, 107)]
)
def test_a_high_quantile_needs_many_pairs(share: float, tests: int, least: int) -> None:
    """So many that the chance that none lies beyond it is small: share ** n <= 0.05 / tests."""
    assert gate.least_pairs(share, min(0.025, 0.05 / tests)) == least


def test_a_gap_around_zero_has_no_ratio() -> None:
    generator = np.random.default_rng(2)
    row = judge_pairs(GAP, generator.normal(0.0, 0.2, (20, 2)))
    assert (row.verdict, row.change) == ("unknown", None)
    assert "no ratio" in row.reason


def simulated(limit: Limit, generator: np.random.Generator, *, is_at_limit: bool) -> Pairs:
    """Twenty trials of two builds that are alike, or exactly at the limit."""
    if limit.kind == "ratio":
        of_trial = generator.normal(0.0, 0.3, (20, 1))
        chance = generator.normal(0.0, 0.15, (20, 2)) + (generator.random((20, 2)) < 0.1)
        return np.exp(of_trial + chance) * [1.0, limit.most if is_at_limit else 1.0]
    worse = np.array([0.05, 0.05 + (limit.most if is_at_limit else 0.0)])
    faults = (generator.random((20, 2)) < worse).astype(np.float64)
    return faults if limit.kind == "rise" else 1.0 - faults


@pytest.mark.parametrize("is_at_limit", [False, True])
def test_false_alarms_are_as_rare_as_is_claimed(is_at_limit: bool) -> None:
    """200 runs of four measures; at the limit a single verdict of `worse` is already false."""
    generator = np.random.default_rng(11)
    limits = (GAP, STOP, TAKEOVER, PAUSES)
    alarms = 0
    for _ in range(200):
        drawn = [simulated(limit, generator, is_at_limit=is_at_limit) for limit in limits]
        rows = [judge_pairs(limit, pairs, 4) for limit, pairs in zip(limits, drawn, strict=True)]
        alarms += any(row.verdict == "worse" for row in rows)
    assert alarms / 200 <= (gate.FALSE_ALARM if is_at_limit else 0.0)


def test_the_same_run_gets_the_same_judgement() -> None:
    outcomes = run_of(noisy_gaps(1), noisy_gaps(2))
    few: dict[str, Any] = {
        "limits": [GAP],
        "baseline": "baseline",
        "candidate": "candidate",
        "resamples": 50,
    }
    first, second, other = (judge(outcomes, seed=seed, **few) for seed in (0, 0, 1))
    assert first == second
    assert first != other
