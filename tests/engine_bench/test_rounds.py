"""Rounds in this process, on real engines that need no file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench.runner import Limits
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.config import load_profile
from edge_assistant.engine_bench.readings import METRICS, Reading, Round, Stage
from edge_assistant.engine_bench.rounds import Plan, judged, measure
from edge_assistant.engine_bench.speech import Clip, Speech
from edge_assistant.engine_bench.subjects import Subject, subjects
from edge_assistant.errors import ModelNotFound
from edge_assistant.store import Catalog, Store
from tests.engines.tiny_gguf import write_tiny_gguf

WEBRTC = Subject(stage="vad", target="webrtc", name="webrtc")
ESPEAK = Subject(stage="tts", target="espeak-en", name="espeak-en")
AGAIN = Subject(stage="tts", target="espeak-en", name="espeak-en (2)")


def plan(tmp_path: Path, *chosen: Subject, stages: set[Stage], repeats: int = 1) -> Plan:
    """Noise for speech, and a store with nothing in it."""
    noise = np.random.default_rng(0).normal(0.0, 0.01, SAMPLE_RATE).astype(np.float32)
    clip = Clip(name="noise", kind="read", text="nothing", sound=noise)
    return Plan(
        config=load_profile("starter").with_overrides({"llm.n_ctx": 256}),
        store=Store(tmp_path / "store", Catalog.load(), system=None),
        subjects=chosen,
        stages=frozenset(stages),
        speech=Speech(clips=(clip,), repeats=repeats),
        repeats=repeats,
        seed=0,
    )


def by_model(readings: list[Reading], stage: Stage) -> dict[str, set[str]]:
    """Which figures of a stage each model has."""
    found: dict[str, set[str]] = {}
    for each in readings:
        if each.stage == stage:
            found.setdefault(each.model, set()).add(each.metric)
    return found


def test_every_engine_is_measured_in_every_round(tmp_path: Path) -> None:
    rounds: list[Round] = []
    chosen = plan(tmp_path, ESPEAK, AGAIN, WEBRTC, stages={"tts", "vad", "abort"}, repeats=6)
    measure(chosen, range(6), rounds, CancelToken())
    assert [each.index for each in rounds] == list(range(6))
    everything = set(METRICS["tts"])
    assert by_model(rounds[0].readings, "tts") == {
        "espeak-en": everything,
        "espeak-en (2)": everything,
    }
    for each in rounds[1:]:
        assert by_model(each.readings, "tts")["espeak-en"] == everything - {
            "load_s",
            "first_call_s",
        }
        assert by_model(each.readings, "vad")["webrtc"]
        assert by_model(each.readings, "abort") == {"espeak-en": {"tts"}, "espeak-en (2)": {"tts"}}
        assert not each.failures
    first = [next(x.model for x in each.readings if x.metric == "rtf") for each in rounds]
    assert set(first) == {"espeak-en", "espeak-en (2)"}, "A is not always the first one"


def test_an_engine_that_fails_fails_alone(tmp_path: Path) -> None:
    """A file that is no voice, and a model for which the prompt is too long."""
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    voice = Subject(stage="tts", target=str(file), name="voice")
    llm = Subject(stage="llm", target=str(file), name="llm")
    rounds: list[Round] = []
    chosen = plan(tmp_path, voice, llm, ESPEAK, stages={"tts", "llm"}, repeats=2)
    measure(chosen, range(2), rounds, CancelToken())
    first, second = rounds[0].failures
    assert (first.stage, first.model) == ("tts", "voice")
    assert first.message
    assert (second.stage, second.model, second.code) == ("llm", "llm", "prompt-too-long")
    assert not rounds[1].failures
    assert set(by_model(rounds[1].readings, "tts")) == {"espeak-en"}


def test_what_was_measured_before_a_stop_is_kept(tmp_path: Path) -> None:
    token = CancelToken()

    def stop(text: str) -> None:
        if text.startswith("round 3/"):
            token.cancel("ctrl-c")

    rounds: list[Round] = []
    with pytest.raises(TurnCancelled):
        measure(plan(tmp_path, ESPEAK, stages={"tts"}, repeats=9), range(9), rounds, token, stop)
    assert [bool(each.readings) for each in rounds] == [True, True, False]


def test_unknown_models_are_refused_at_once() -> None:
    config = load_profile("starter")
    with pytest.raises(ModelNotFound) as error:
        subjects(config, {"tts"}, {"tts": ("espeak-en", "espeak-xx")}, Store.default())
    assert error.value.code == "model-unknown"


def test_what_each_stage_needs() -> None:
    config = load_profile("starter")
    store = Store.default()
    twice = ("espeak-en", "espeak-en")
    found = subjects(config, {"tts", "vad"}, {"tts": twice}, store)
    assert [(each.stage, each.name) for each in found] == [
        ("tts", "espeak-en"),
        ("tts", "espeak-en (2)"),
        ("vad", "webrtc"),
        ("vad", "silero"),
    ]
    assert found[0].engine == "espeak"
    without = config.with_overrides({"turn_detector.model": "none"})
    assert subjects(without, {"turn"}, {}, store) == ()


def test_a_round_is_judged_like_a_conversation() -> None:
    limits = Limits(steal_share=0.02, load_per_core=2.0)
    assert judged(Round(index=0, load=4.0, steal_share=0.02), 2, limits) == ""
    told = judged(Round(index=0, load=4.1, steal_share=0.5), 2, limits)
    assert told == "50.0% of CPU time stolen, load 4.1 on 2 cores"
