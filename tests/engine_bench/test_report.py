"""From rounds to rows, and from rows to a table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_assistant.bench.machine import Machine
from edge_assistant.engine_bench.readings import METRICS, Failure, Heard, Reading, Round, Stage
from edge_assistant.engine_bench.report import Report, Row, SpeechFacts, builds_of, rows
from edge_assistant.engine_bench.table import number, to_text

PAGE = Path(__file__).parents[2] / "docs" / "engine-bench.md"
MACHINE = Machine(cpu="Z80", cores=1, ram_bytes=None, system="CP/M", python="CPython 3.11.0")


def round_of(
    index: int,
    values: dict[str, list[float]],
    *,
    stage: Stage = "stt",
    metric: str = "rtf",
    disturbed: str = "",
    build: str = "",
) -> Round:
    """A round with these values of one figure, by model."""
    readings = [
        Reading(stage=stage, metric=metric, model=model, value=value)
        for model, found in values.items()
        for value in found
    ]
    return Round(index=index, readings=readings, disturbed=disturbed, build=build)


def heard(model: str, clip: str, edits: int, kind: str = "read") -> Heard:
    return Heard(model=model, clip=clip, kind=kind, edits=edits, words=10)


def report(found: list[Row], rounds: list[Round], *, is_complete: bool = True) -> Report:
    return Report(
        started="",
        version="1.0",
        machine=MACHINE,
        builds=builds_of(rounds),
        models=[],
        settings={},
        speech=SpeechFacts(is_made=True, clips=3, duration_s=6.0),
        seed=0,
        repeats=len(rounds),
        is_complete=is_complete,
        rows=found,
        rounds=rounds,
    )


def test_the_median_and_its_interval() -> None:
    (row,) = rows([round_of(at, {"a": [float(at)]}) for at in range(9)], ["a"])
    assert (row.value, row.worst, row.n) == (4.0, 8.0, 9)
    assert row.low is not None
    assert row.high is not None
    assert 0.0 < row.low < 4.0 < row.high < 8.0
    assert row.against is None


def test_values_of_one_round_hang_together() -> None:
    """Many values of a round make the sample larger, not the evidence."""
    (row,) = rows([round_of(at, {"a": [1.0] * 50}) for at in range(4)], ["a"])
    assert row.n == 200
    assert (row.low, row.high) == (None, None)


def test_the_worst_rate_is_the_lowest() -> None:
    values = {"a": [80.0, 60.0, 90.0]}
    (row,) = rows([round_of(0, values, stage="llm", metric="decode_rate")], ["a"])
    assert row.worst == 60.0


def test_two_models_are_compared_within_each_round() -> None:
    """The machine slows down tenfold: the medians hardly tell, the ratio is exact."""
    rounds = [round_of(at, {"b": [3.0 * 10**at], "a": [2.0 * 10**at]}) for at in range(5)]
    first, second = rows(rounds, ["a", "b"])
    assert (first.model, second.model) == ("a", "b")
    assert first.against is None
    assert second.against is not None
    assert second.against.model == "a"
    assert second.against.value == pytest.approx(1.5)
    assert (second.against.low, second.against.high) == pytest.approx((1.5, 1.5))
    assert second.against.n == 5


def test_a_round_that_only_one_has_is_not_compared() -> None:
    rounds = [
        round_of(0, {"a": [1.0], "b": [2.0]}),
        round_of(1, {"b": [50.0]}),
        round_of(2, {"a": [50.0]}),
        round_of(3, {"a": [0.0], "b": [50.0]}),
    ]
    _, second = rows(rounds, ["a", "b"])
    assert second.against is not None
    assert (second.against.value, second.against.n) == (2.0, 1)


def test_a_build_is_held_against_the_same_model_in_this_one() -> None:
    rounds = [
        round_of(0, {"a": [4.0], "b": [6.0]}, build="next"),
        round_of(0, {"a": [1.0], "b": [2.0]}, build="this"),
    ]
    found = rows(rounds, ["a", "b"], ["this", "next"])
    assert [(row.model, row.build) for row in found] == [
        ("a", "this"),
        ("a", "next"),
        ("b", "this"),
        ("b", "next"),
    ]
    pairs = [row.against and (row.against.model, row.against.build) for row in found]
    assert pairs == [None, ("a", "this"), ("a", "this"), ("b", "this")]
    assert [row.against.value for row in found if row.against] == [4.0, 2.0, 3.0]


def test_a_disturbed_round_does_not_count_beside_others() -> None:
    calm = [round_of(at, {"a": [1.0]}) for at in range(3)]
    noisy = [round_of(3, {"a": [9.0]}, disturbed="load 9.0 on 1 cores")]
    (row,) = rows([*calm, *noisy], ["a"])
    assert (row.worst, row.n) == (1.0, 3)
    (alone,) = rows(noisy, ["a"])
    assert (alone.value, alone.n) == (9.0, 1)


def test_words_are_pooled_by_kind_and_each_clip_counts_once() -> None:
    rounds = [Round(index=0), Round(index=1, disturbed="load")]
    for each in rounds:  # dealt twice, where clips are few
        each.heard = [heard("a", "x", 1), heard("a", "y", 4), heard("a", "z", 0, kind="command")]
    found = {row.metric: row for row in rows(rounds, ["a"])}
    assert list(found) == ["wer[command]", "wer[read]"]
    assert (found["wer[read]"].value, found["wer[read]"].n) == (0.25, 2)
    assert found["wer[command]"].value == 0.0


def test_words_of_two_models_are_compared_over_the_same_clips() -> None:
    clips = [f"{at}" for at in range(6)]
    both = [*(heard("a", clip, 3) for clip in clips), *(heard("b", clip, 1) for clip in clips)]
    _, second = rows([Round(index=0, heard=[*both, heard("b", "alone", 9)])], ["a", "b"])
    assert second.against is not None
    assert second.against.value == pytest.approx(-0.2)
    assert (second.against.low, second.against.high) == pytest.approx((-0.2, -0.2))
    assert second.against.n == 6


def test_builds_tell_of_themselves() -> None:
    rounds = [
        Round(index=0, build=name, version=name.upper(), machine=MACHINE) for name in ("b", "this")
    ]
    assert [(each.name, each.version) for each in builds_of(rounds)] == [
        ("this", "THIS"),
        ("b", "B"),
    ]


def test_the_table_shows_what_there_is() -> None:
    rounds = [round_of(at, {"a": [0.1], "b": [0.2]}) for at in range(5)]
    rounds[4].disturbed = "12.0% of CPU time stolen"
    rounds[0].failures.append(
        Failure(stage="tts", model="c", code="voice-silent", message="no sound", hint="say it")
    )
    text = to_text(report(rows(rounds, ["a", "b"]), rounds, is_complete=False))
    assert re.search(r"^  real-time factor  a  +0\.100  +-  +0\.100  4$", text, re.MULTILINE)
    assert re.search(r"^  real-time factor  b  +0\.200 .* 2\.00x  -$", text, re.MULTILINE)
    assert "1 of 5 rounds, they do not count (5: 12.0% of CPU time stolen)" in text
    assert "failed: c [voice-silent]: no sound\nhint: say it\n" in text
    assert "broken off" in text
    assert "build" not in text.partition("B/A:")[0]


def test_a_plain_table_has_no_columns_for_pairs() -> None:
    rounds = [round_of(0, {"a": [0.1]})]
    text = to_text(report(rows(rounds, ["a"]), rounds))
    assert "B/A" not in text
    assert "disturbed" not in text


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1.5, "s", "1.50 s"),
        (0.0123, "s", "12.3 ms"),
        (0.5, "s", "500 ms"),
        (0.0000071, "s", "7.10 us"),
        (0.0, "s", "0.00 us"),
        (0.0575, "share", "5.8 %"),
        (0.02345, "ratio", "0.0234"),
        (1234.0, "tokens/s", "1234 tok/s"),
        (112.0, "tokens", "112"),
    ],
)
def test_three_digits(value: float, unit: str, shown: str) -> None:
    assert number(value, unit) == shown


def test_the_page_defines_every_figure() -> None:
    sections = re.split(r"^## `(\w+)`$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    told = {
        stage: re.findall(r"^\| `(\w+)` \| ([\w/]+) \|", text, re.MULTILINE)
        for stage, text in zip(sections[::2], sections[1::2], strict=True)
    }
    assert told == {
        stage: [(name, metric.unit) for name, metric in metrics.items()]
        for stage, metrics in METRICS.items()
    }
