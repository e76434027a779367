"""Whole comparisons of small models, with real children: what is the same, what is broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from edge_assistant_quantize.compare.candidates import resolve
from edge_assistant_quantize.compare.children import ask
from edge_assistant_quantize.compare.messages import Order
from edge_assistant_quantize.compare.report import assembled
from edge_assistant_quantize.compare.results import Report, find
from edge_assistant_quantize.compare.run import Findings, Plan, measure
from edge_assistant_quantize.errors import WorkshopError

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import EdgeAssistantError, ModelCorrupt, ModelNotFound
from tests.engines.piper_file import write_piper_voice
from tests.engines.whisper_file import word, write_scripted_whisper
from tests.workshop.compare_models import (
    TEXT,
    candidate,
    hum,
    readings_of,
    store_in,
    tiny,
    with_other_tokens,
    zeroed,
)

STARTED = "2026-11-22T04:00:00+00:00"


def compared(plan: Plan) -> tuple[Report, Findings]:
    """Measure and report."""
    found = measure(plan, CancelToken(), lambda what, share: None)
    return assembled(plan, found, STARTED), found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Findings]:
    """A model, a copy of it, one with a tensor of zeros, and one with other tokens."""
    folder = tmp_path_factory.mktemp("llm")
    own = tiny(folder)
    copy = folder / "copy.gguf"
    copy.write_bytes(own.read_bytes())
    broken = zeroed(own, folder / "broken.gguf", "output.weight")
    targets = [str(path) for path in (own, copy, broken)]
    candidates = resolve(targets, store_in(folder))
    return compared(Plan(candidates=candidates, repeats=2, seed=0, text=TEXT))


def test_a_copy_makes_no_difference(models: tuple[Report, Findings]) -> None:
    report, _ = models
    kl, top = find(report.lines, "kl"), find(report.lines, "same_top")
    assert kl is not None
    assert top is not None
    assert kl.values["copy"].value == 0.0
    assert top.values["copy"].value == 1.0
    assert report.answers["copy"] == report.answers["tiny"]
    (verdict,) = (each for each in report.recommendation.verdicts if each.label == "copy")
    assert verdict.text == "no difference from tiny"


def test_a_tensor_of_zeros_is_seen(models: tuple[Report, Findings]) -> None:
    report, _ = models
    kl = find(report.lines, "kl")
    assert kl is not None
    assert kl.values["broken"].value > 0.1
    (verdict,) = (each for each in report.recommendation.verdicts if each.label == "broken")
    assert not verdict.is_within
    assert "KL divergence" in verdict.text
    assert report.recommendation.pick == "tiny"


def test_every_model_is_measured_in_every_round(models: tuple[Report, Findings]) -> None:
    report, found = models
    for label in ("tiny", "copy", "broken"):
        assert len(found.answers[label]) == 2
        assert len(readings_of(found.rounds, "load_s", label)) == 2
        assert len(readings_of(found.rounds, "prefill_rate", label)) == 2
    orders = [list(dict.fromkeys(r.model for r in each.readings)) for each in found.rounds]
    assert orders == [["tiny", "copy", "broken"], ["copy", "broken", "tiny"]]
    memory = find(report.lines, "peak_rss_bytes")
    assert memory is not None
    assert all(value.value > 20e6 for value in memory.values.values())


def test_the_text_is_scored_whole(models: tuple[Report, Findings]) -> None:
    _, found = models
    windows = found.reads["tiny"].windows
    # One byte a token, but for the pair `th`; the first token has nothing before it.
    assert sum(window.size_bytes for window in windows) == len(TEXT) - 1
    assert sum(window.rows for window in windows) == sum(window.tokens for window in windows)


def test_models_with_other_tokens_have_no_divergence(tmp_path: Path) -> None:
    own = tiny(tmp_path)
    other = with_other_tokens(own, tmp_path / "other.gguf")
    candidates = resolve([str(own), str(other)], store_in(tmp_path))
    report, found = compared(Plan(candidates=candidates, repeats=1, seed=0, text=TEXT))
    assert not found.reads["other"].is_comparable
    assert find(report.lines, "kl") is None
    assert find(report.lines, "perplexity") is None
    bits = find(report.lines, "bits_per_byte")
    assert bits is not None
    assert bits.values["other"].versus == pytest.approx(0.0, abs=1e-9)
    assert any("other tokens than tiny" in note for note in report.notes)


def test_recognisers_are_judged_by_their_words(tmp_path: Path) -> None:
    right = [word("001a"), word(" "), word("002b")]
    good = write_scripted_whisper(tmp_path / "good.bin", right)
    bad = write_scripted_whisper(tmp_path / "bad.bin", [word("003c"), word(" "), word("002b")])
    candidates = resolve([str(good), str(bad)], store_in(tmp_path))
    clips = tuple(hum(f"commands/{n}.wav", "001a 002b") for n in range(6))
    report, _ = compared(Plan(candidates=candidates, repeats=1, seed=0, clips=clips))
    wrong = find(report.lines, "wer[command]")
    assert wrong is not None
    assert len(report.heard) == 6
    assert wrong.values["bad"].value > wrong.values["good"].value
    assert not report.recommendation.verdicts[1].is_within
    assert set(report.heard[0].texts) == {"good", "bad"}
    assert report.heard[0].texts["good"] != report.heard[0].texts["bad"]


def test_voices_are_judged_by_their_sound(tmp_path: Path) -> None:
    for name, work in (("own", 0), ("copy", 0)):
        (tmp_path / name).mkdir()
        write_piper_voice(tmp_path / name, work=work)
    targets = [str(tmp_path / "own" / "tiny.onnx"), str(tmp_path / "copy" / "tiny.onnx")]
    candidates = resolve([*targets, "espeak:en-gb"], store_in(tmp_path))
    assert [each.label for each in candidates] == ["tiny", "tiny (2)", "en-gb"]
    report, found = compared(Plan(candidates=candidates, repeats=1, seed=0))
    distance = find(report.lines, "mel_distance")
    assert distance is not None
    assert distance.values["tiny (2)"].value == pytest.approx(distance.values["tiny"].value)
    assert distance.values["en-gb"].value > 5.0
    assert report.recommendation.verdicts[1].text == "no difference from tiny"
    assert not report.recommendation.verdicts[2].is_within
    assert len(found.sounds["en-gb"]) == 6


def test_models_of_two_kinds_are_refused(tmp_path: Path) -> None:
    voice, _ = write_piper_voice(tmp_path)
    with pytest.raises(WorkshopError, match="a language model") as caught:
        resolve([str(tiny(tmp_path)), str(voice)], store_in(tmp_path))
    assert caught.value.code == "compare-kinds-differ"


def test_one_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError) as caught:
        resolve(["espeak-en"], store_in(tmp_path))
    assert caught.value.code == "compare-needs-two"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("espeak:en-gb", "compare-espeak-missing"),
        ("espeak-en", "model-not-installed"),
        ("espeak-program:en-gb", "compare-no-such-kind"),
    ],
)
def test_where_the_library_of_espeak_was_left_out_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, code: str
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # as if it were not installed
    with pytest.raises(EdgeAssistantError) as caught:
        resolve([target, target], store_in(tmp_path))
    assert caught.value.code == code
    assert caught.value.hint


def test_a_reference_must_be_one_of_them(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError) as caught:
        resolve(["espeak-en", "espeak:en-gb"], store_in(tmp_path), "espeak:de")
    assert caught.value.code == "compare-reference-unknown"


def test_the_reference_comes_first(tmp_path: Path) -> None:
    targets = ["espeak-en", "espeak:en-gb", "espeak:de"]
    found = resolve(targets, store_in(tmp_path), "espeak:de")
    assert [each.label for each in found] == ["de", "espeak-en", "en-gb"]
    assert found[0].size_bytes > 1_000_000


def test_a_faulty_file_never_reaches_a_library(tmp_path: Path) -> None:
    own = tiny(tmp_path)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(own.read_bytes()[: own.stat().st_size // 2])
    with pytest.raises(ModelCorrupt):
        resolve([str(own), str(cut)], store_in(tmp_path))
    with pytest.raises(ModelNotFound):
        resolve([str(own), "no-such-model"], store_in(tmp_path))


def test_a_text_of_a_few_words_is_refused(tmp_path: Path) -> None:
    own = tiny(tmp_path)
    candidates = resolve([str(own), str(own)], store_in(tmp_path))
    with pytest.raises(WorkshopError) as caught:
        measure(
            Plan(candidates=candidates, repeats=1, seed=0, text="Too short."),
            CancelToken(),
            lambda what, share: None,
        )
    assert caught.value.code == "compare-text-short"


def test_a_model_that_fails_is_named_and_left_out(tmp_path: Path) -> None:
    own = tiny(tmp_path)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(own.read_bytes())
    mute = tmp_path / "mute.gguf"
    # Without role tokens there is no conversation: it fails where it is to answer.
    mute.write_bytes(own.read_bytes().replace(b"<|im_start|>", b"<|xx_start|>"))
    targets = [str(path) for path in (own, copy, mute)]
    candidates = resolve(targets, store_in(tmp_path))
    report, _ = compared(Plan(candidates=candidates, repeats=1, seed=0, text=TEXT))
    (failure,) = report.failures
    assert (failure.model, failure.code) == ("mute", "template-mismatch")
    assert [each.label for each in report.recommendation.verdicts] == ["tiny", "copy"]


def test_a_child_that_dies_is_an_answer(tmp_path: Path) -> None:
    order = Order(candidate=candidate("gone"), work="speed")  # it has no file: a bug of ours
    answer = ask(order, tmp_path / "child", CancelToken())
    assert answer.failure is not None
    assert answer.failure.code == "compare-child-died"
    assert "ValueError" in answer.failure.message


def test_cancelling_ends_the_child(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel("test")
    with pytest.raises(TurnCancelled):
        ask(Order(candidate=candidate("gone"), work="speed"), tmp_path / "child", token)
