"""The recommendation: what the rule makes of figures."""

from __future__ import annotations

import msgspec
import pytest
from edge_assistant_quantize.compare import rule
from edge_assistant_quantize.compare.messages import Subject
from edge_assistant_quantize.compare.results import Line, Recommendation, Value

SAME = frozenset[str]()


def line(key: str, unit: str, values: dict[str, float], how: str = "difference") -> Line:
    """A figure whose first model is the reference."""
    own = next(iter(values.values()))
    return Line(
        key=key,
        title=key,
        unit=unit,
        better="more" if key in ("decode_rate", "tasks") else "less",
        versus=how,  # type: ignore[arg-type]
        values={
            label: Value(
                value=value,
                versus=None if at == 0 else (value / own if how == "ratio" else value - own),
            )
            for at, (label, value) in enumerate(values.items())
        },
    )


def llm(**changes: dict[str, float]) -> list[Line]:
    """A big reference, a small one nearly as good, a tiny one that is broken."""
    figures = {
        "size_bytes": {"big": 100e6, "small": 60e6, "tiny": 30e6},
        "decode_rate": {"big": 50.0, "small": 60.0, "tiny": 90.0},
        "kl": {"big": 0.0, "small": 0.03, "tiny": 2.0},
        "bits_per_byte": {"big": 1.0, "small": 1.005, "tiny": 1.6},
        "tasks": {"big": 8.0, "small": 8.0, "tiny": 1.0},
    } | changes
    units = {"size_bytes": "bytes", "kl": "nats", "bits_per_byte": "bits", "tasks": "tasks"}
    return [
        line(
            key,
            units.get(key, "tokens/s"),
            values,
            "ratio" if key in ("size_bytes", "decode_rate") else "difference",
        )
        for key, values in figures.items()
    ]


def recommended(
    lines: list[Line], kind: Subject = "llm", same: frozenset[str] = SAME
) -> Recommendation:
    """The rule on three models."""
    return rule.recommend(kind, list(lines[0].values), lines, same)


def test_the_smallest_within_the_limits_is_taken() -> None:
    found = recommended(llm())
    assert found.pick == "small"
    assert found.headline == "Take small: 40 % smaller, 1.20 times as fast."
    texts = {verdict.label: verdict for verdict in found.verdicts}
    assert texts["big"].text == "the reference"
    assert texts["small"].is_within
    assert not texts["tiny"].is_within
    assert texts["tiny"].text == (
        "beyond the limits: KL divergence 2.00 nats; 0.600 bits a byte more; 7 tasks fewer"
    )
    for number in ("0.1 nats", "0.02 bits", "2 tasks", "90 %", "big"):
        assert number in found.rule


@pytest.mark.parametrize(
    ("key", "value"),
    [("kl", 0.11), ("bits_per_byte", 1.021), ("tasks", 5.0), ("decode_rate", 44.0)],
)
def test_each_limit_can_rule_a_model_out(key: str, value: float) -> None:
    before = {entry.key: entry.values for entry in llm()}
    values = {label: found.value for label, found in before[key].items()}
    found = recommended(llm(**{key: values | {"small": value}}))
    assert found.pick == "big"
    assert found.headline == "Keep big: no other is smaller and within the limits."


def test_models_alike_make_no_difference() -> None:
    even = {"big": 100e6, "small": 100e6, "tiny": 100e6}
    none = {"big": 0.0, "small": 0.0, "tiny": 0.0}
    same = {"big": 1.0, "small": 1.0, "tiny": 1.0}
    lines = llm(size_bytes=even, kl=none, bits_per_byte=same, tasks=same)
    found = recommended(lines, same=frozenset({"small", "tiny"}))
    assert found.pick == "big"
    assert found.headline.startswith("No difference")
    assert found.verdicts[1].text == "no difference from big"


def test_the_same_quality_in_fewer_bytes_is_a_difference() -> None:
    found = recommended(llm(), same=frozenset({"small"}))
    assert found.pick == "small"


def test_without_speed_nothing_is_recommended() -> None:
    lines = llm(decode_rate={"big": 50.0, "tiny": 90.0})
    found = recommended(lines)
    assert found.pick == "big"
    assert "its speed could not be measured" in found.verdicts[1].text


def test_without_divergence_the_bits_decide() -> None:
    found = recommended([each for each in llm() if each.key != "kl"])
    assert found.pick == "small"
    assert not found.verdicts[2].is_within


def test_the_front_has_no_model_that_another_beats_in_all() -> None:
    worse = llm(
        size_bytes={"big": 100e6, "small": 60e6, "tiny": 70e6},
        decode_rate={"big": 50.0, "small": 60.0, "tiny": 55.0},
        kl={"big": 0.0, "small": 0.03, "tiny": 0.04},
    )
    assert rule.front("llm", ["big", "small", "tiny"], worse) == {"big", "small"}
    assert rule.front("llm", ["big", "small", "tiny"], llm()) == {"big", "small", "tiny"}


def words(more: float, time: float = 0.1) -> list[Line]:
    """Two recognisers."""
    return [
        line("size_bytes", "bytes", {"a": 50e6, "b": 20e6}, "ratio"),
        line("rtf", "ratio", {"a": 0.1, "b": time}, "ratio"),
        line("wer[command]", "share", {"a": 0.05, "b": 0.05}),
        line("wer[read]", "share", {"a": 0.05, "b": 0.05 + more}),
        line("wer_mean", "share", {"a": 0.05, "b": 0.05 + more / 2}),
    ]


def test_a_recogniser_must_be_as_good_in_every_kind_of_speech() -> None:
    assert recommended(words(0.005), "stt").pick == "b"
    found = recommended(words(0.015), "stt")
    assert found.pick == "a"
    assert "1.5 %" in found.verdicts[1].text


def test_a_slow_recogniser_is_not_taken() -> None:
    found = recommended(words(0.0, time=0.12), "stt")
    assert found.pick == "a"
    assert "1.20 times as slow" in found.verdicts[1].text


@pytest.mark.parametrize(("away", "pick"), [(2.5, "b"), (3.5, "a")])
def test_a_voice_is_judged_by_what_the_reference_differs_from_itself(
    away: float, pick: str
) -> None:
    lines = [
        line("size_bytes", "bytes", {"a": 60e6, "b": 30e6}, "ratio"),
        line("rtf", "ratio", {"a": 0.1, "b": 0.1}, "ratio"),
        line("mel_distance", "dB", {"a": 1.0, "b": away}),
    ]
    assert recommended(lines, "tts").pick == pick


def test_slowness_that_may_be_chance_rules_nothing_out() -> None:
    lines = words(0.0)
    slow = Value(value=0.2, versus=2.0, versus_low=0.8, versus_high=3.0)
    lines[1] = msgspec.structs.replace(lines[1], values=lines[1].values | {"b": slow})
    assert recommended(lines, "stt").pick == "b"
    slow = msgspec.structs.replace(slow, versus_low=1.5)
    lines[1] = msgspec.structs.replace(lines[1], values=lines[1].values | {"b": slow})
    assert recommended(lines, "stt").pick == "a"
