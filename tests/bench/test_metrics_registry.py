"""Groups, voids, the composite, and the page that defines it all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import structs

from edge_assistant.bench.metrics import (
    METRICS,
    Composite,
    Group,
    Measure,
    Metric,
    Sample,
    Term,
    Void,
    composite,
    read_terms,
    summarise,
    trial_values,
)
from edge_assistant.bench.metrics.registry import measured
from edge_assistant.bench.trial import Outcome, Source
from edge_assistant.errors import ConfigError
from tests.bench.metrics_makers import NOTHING, channel, outcome, played, spoken

PAGE = Path(__file__).parents[2] / "docs" / "bench-metrics.md"


def asked(
    gap_s: float,
    number: int,
    *,
    source: Source = "synthetic",
    condition: str = "plain",
    void: str = "",
) -> Outcome:
    return outcome(
        channel(9.0, (3.0 + gap_s, 5.0 + gap_s)),
        played("question", (1.0, 3.0)),
        id=f"question/{condition}/{source}/{number:03}",
        source=source,
        void=void,
    )


def by_name(measures: list[Measure]) -> dict[str, Measure]:
    assert len({m.name for m in measures}) == len(measures)
    return {m.name: m for m in measures}


def test_the_page_defines_every_metric_with_its_unit_and_kind() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(METRICS)
    told = {name: text.strip() for name, text in rows}
    wanted = {
        m.name: m.unit if m.kind == "share" else f"{m.unit}, {m.kind}" for m in METRICS.values()
    }
    assert told == wanted


def test_quantiles_come_with_n_interval_and_rows() -> None:
    table = summarise([asked(0.1 * i, i) for i in range(1, 12)], names=["response_gap"])
    measures = by_name(
        table[Group(system="ours", source="synthetic", scenario="question", condition="plain")]
    )
    assert measures["response_gap_p50"].value == pytest.approx(0.6)
    assert measures["response_gap_p90"].value == pytest.approx(1.0)
    assert measures["response_gap_p95"].value == pytest.approx(1.05)
    assert measures["response_gap_p50"].n == 11
    assert set(measures) == {f"response_gap_{q}" for q in ("p50", "p90", "p95")}
    low, high = measures["response_gap_p50"].low, measures["response_gap_p50"].high
    assert low is not None
    assert high is not None
    assert 0.1 < low < 0.6 < high < 1.1


def test_rows_are_given_beside_the_whole_where_there_are_several() -> None:
    short = outcome(
        channel(9.0, (4.0, 5.0)), played("question", (1.0, 2.0)), id="question/plain/synthetic/009"
    )
    (measures,) = summarise([asked(0.2, 1), short], names=["response_gap"]).values()
    told = {name: m.value for name, m in by_name(measures).items() if "_p50" in name}
    assert told == pytest.approx(
        {
            "response_gap_p50": 1.1,
            "response_gap_p50[1.5 to 4 s]": 0.2,
            "response_gap_p50[under 1.5 s]": 2.0,
        }
    )


def test_real_and_synthetic_are_never_pooled() -> None:
    both = [asked(0.2, 1), asked(1.0, 2, source="real")]
    for by_condition in (True, False):
        table = summarise(both, names=["response_gap"], by_condition=by_condition)
        assert {
            group.source: by_name(m)["response_gap_p50"].value for group, m in table.items()
        } == {
            "synthetic": pytest.approx(0.2),
            "real": pytest.approx(1.0),
        }


def test_conditions_are_pooled_only_when_asked() -> None:
    both = [asked(0.2, 1), asked(1.0, 2, condition="noisy")]
    assert [g.condition for g in summarise(both, names=["takeover"])] == ["plain", "noisy"]
    (pooled,) = summarise(both, names=["takeover"], by_condition=False).items()
    assert pooled[0].condition == ""
    assert pooled[1][0].n == 2


def test_a_void_trial_is_listed_in_every_metric_that_applies_and_counted_in_none() -> None:
    table = summarise([asked(0.2, 1), asked(0.9, 2, void="block 12 came 80 ms late")])
    (measures,) = table.values()
    names = {m.name for m in measures}
    assert "stop_latency_p50" not in names  # does not apply: absent, not void
    for measure in measures:
        assert measure.n <= 1
        assert ("question/plain/synthetic/002", "block 12 came 80 ms late") in [
            (void.trial, void.reason) for void in measure.voids
        ]


def test_nothing_observed_is_no_value() -> None:
    (measures,) = summarise([asked(0.2, 1, void="late")]).values()
    assert {m.value for m in measures} == {None}
    assert {(m.n, m.low, m.high) for m in measures} == {(0, None, None)}


def test_a_rate_has_its_upper_bound_even_without_an_event() -> None:
    quiet = outcome(channel(1800.0), id="silence/none/synthetic/001")
    (measures,) = summarise([quiet], names=["phantom_replies"]).values()
    (measure,) = measures
    assert (measure.value, measure.n, measure.low) == (0.0, 1, 0.0)
    assert measure.high == pytest.approx(2.9957 / 0.5, abs=1e-3)


def test_self_interruptions_are_per_thousand_seconds() -> None:
    case = outcome(
        channel(20.0, (1.0, 11.0)), events=spoken(1, 1.0, 11.0, "a reply", ended="yielded")
    )
    (measures,) = summarise([case], names=["self_interruptions"]).values()
    assert measures[0].value == pytest.approx(100.0)
    assert measures[0].high == pytest.approx(474.39, abs=0.01)


def test_rows_that_must_not_be_pooled_are_not_and_voids_without_row_stand_in_each() -> None:
    metric = METRICS["floor_kept"]
    found = measured(
        metric,
        [
            Sample(trial="a", value=1.0, row="noise"),
            Sample(trial="b", value=0.0, row="backchannel"),
            Void(trial="c", reason="late"),
            Void(trial="d", reason="short", row="noise"),
        ],
    )
    assert {m.name: (m.value, m.n, len(m.voids)) for m in found} == {
        "floor_kept[backchannel]": (0.0, 1, 1),
        "floor_kept[noise]": (1.0, 1, 2),
    }
    assert measured(metric, []) == []
    (only_void,) = measured(metric, [Void(trial="c", reason="late")])
    assert (only_void.name, only_void.value, only_void.n) == ("floor_kept", None, 0)


def test_the_same_seed_gives_the_same_numbers() -> None:
    cases = [asked(0.013 * (i * i % 53), i) for i in range(1, 31)]
    first, again, other = (
        summarise(cases, names=["response_gap"], seed=seed, resamples=100) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_values_of_one_trial() -> None:
    told = trial_values(asked(0.4, 1), NOTHING)
    assert told["response_gap"] == pytest.approx(0.4)
    assert told["takeover"] == 1.0
    assert "answered" not in told
    assert "cpu_talk" not in told  # not measured: absent, not 0
    assert trial_values(asked(0.4, 1, void="late"), NOTHING) == {}


def test_every_metric_survives_every_bare_outcome() -> None:
    bare = [
        outcome(channel(0.0)),
        outcome(channel(3.0), events=({"event": "yielded"}, {})),
        outcome(channel(9.0, (0.0, 9.0)), played("interruption", (3.0, 4.0), into_reply=True)),
    ]
    for metric in METRICS.values():
        for case in bare:
            for one in metric.observe(case, NOTHING):
                assert isinstance(one, Sample | Void)
    assert summarise(bare)


# --- composite -------------------------------------------------------------------------------

GAP = Term(scenario="question", measure="response_gap_p50", weight=3.0, good=0.2, bad=1.2)
TAKEOVER = Term(scenario="question", measure="takeover", weight=1.0, good=1.0, bad=0.5)


@pytest.mark.parametrize(
    ("value", "score"), [(0.1, 1.0), (0.2, 1.0), (0.7, 0.5), (1.2, 0.0), (5.0, 0.0)]
)
def test_a_term_is_linear_between_good_and_bad(value: float, score: float) -> None:
    assert GAP.score(value) == pytest.approx(score)
    assert TAKEOVER.score(0.75) == pytest.approx(0.5)


def scores(cases: list[Outcome], terms: list[Term]) -> list[Composite]:
    return composite(summarise(cases, by_condition=False), terms)


def test_the_composite_weighs_for_each_source_apart() -> None:
    found = scores([asked(0.7, 1), asked(0.2, 2, source="real")], [GAP, TAKEOVER])
    assert {one.source: one.score for one in found} == {
        "synthetic": pytest.approx((3.0 * 0.5 + 1.0) / 4.0),
        "real": pytest.approx(1.0),
    }
    (heavier,) = scores([asked(0.7, 1)], [structs.replace(GAP, weight=9.0), TAKEOVER])
    assert heavier.score == pytest.approx((9.0 * 0.5 + 1.0) / 10.0)


def test_a_missing_term_leaves_no_score() -> None:
    stop = Term(scenario="interruption", measure="stopped", weight=1.0, good=1.0, bad=0.0)
    (found,) = scores([asked(0.7, 1)], [GAP, stop])
    assert found.score is None
    assert found.missing == (stop,)
    ((term, score),) = found.scores
    assert term == GAP
    assert score == pytest.approx(0.5)


def suffixed(metric: Metric) -> set[str]:
    return {f"{metric.name}_{q}" for q in ("p50", "p90", "p95")} | {metric.name}


def test_the_weights_that_we_ship_name_measures_that_exist() -> None:
    known = set().union(*(suffixed(metric) for metric in METRICS.values()))
    for term in read_terms():
        assert term.measure.partition("[")[0] in known


@pytest.mark.parametrize(
    "text",
    [
        "",
        "terms = []",
        "[[terms]]\nscenario = 'a'\nmeasure = 'b'\nweight = 0\ngood = 1\nbad = 0",
        "[[terms]]\nscenario = 'a'\nmeasure = 'b'\nweight = 1\ngood = 1\nbad = 1",
        "[[terms]]\nscenario = 'a'\nmeasure = 'b'\nweight = 1\ngood = 1\nbad = 0\nbonus = 2",
        "[[terms",
    ],
)
def test_weights_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "weights.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_terms(path)
    assert caught.value.code == "bench-weights"
    assert str(path) in caught.value.message


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_terms(tmp_path / "none.toml")
