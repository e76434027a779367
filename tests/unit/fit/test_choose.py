"""What fits where: made-up machines, no engine runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_assistant.config import load_profile, profiles
from edge_assistant.fit.choose import (
    COMFORT,
    PROGRAM_BYTES,
    RAM_SHARE,
    RULES,
    Combination,
    Memory,
    Recommendation,
    combine,
    recommend,
)
from edge_assistant.fit.predict import Cost, Hardware
from edge_assistant.fit.report import settings_for
from tests.unit.fit.made import (
    DESKTOP,
    DESKTOP_MEMORY,
    PI,
    PI_MEMORY,
    SHELF,
    candidate,
    entry,
    shelf,
)

BIG = "llama-3.2-3b-instruct"


def sets(hardware: Hardware, memory: Memory, language: str = "en") -> list[Combination]:
    return combine(shelf(hardware, memory), memory, language)


def recommended(hardware: Hardware, memory: Memory, profile: str) -> Recommendation:
    usual = load_profile(profile)
    names = (usual.stt.model, usual.llm.model, usual.tts.voice)
    return recommend(sets(hardware, memory), memory, profile, names)


def test_a_small_board_refuses_what_a_desktop_takes() -> None:
    on_pi = {each.entry.id: each.refusal for each in shelf(PI, PI_MEMORY)}
    refusal = on_pi.pop(BIG)
    assert refusal is not None
    assert refusal.code == "ram"
    needed = (2_700_000_000 + PROGRAM_BYTES) / 1e9
    assert f"needs {needed:.2f} GB of memory, 2.60 GB are free" in refusal.reason
    slow = on_pi.pop("piper-en-us-ryan-high")
    assert slow is not None
    assert slow.code == "too-slow"
    assert set(on_pi.values()) == {None}
    assert all(each.refusal is None for each in shelf(DESKTOP, DESKTOP_MEMORY))


def test_parts_that_fit_alone_may_not_fit_together() -> None:
    memory = replace(PI_MEMORY, free_bytes=1_500_000_000)
    found = {each.ids: each.refusal for each in sets(PI, memory)}
    small = found["moonshine-tiny-en", "llama-3.2-1b-instruct", "espeak-en"]
    large = found["whisper-small-q5_1", "llama-3.2-1b-instruct", "piper-en-gb-alba-medium"]
    assert small is None
    assert large is not None
    assert large.code == "ram"
    assert "needs 2.02 GB of memory, 1.50 GB are free of 4.00 GB" in large.reason


def test_a_machine_that_cannot_keep_up_is_told_so() -> None:
    slow = Hardware(bandwidth_bytes_s=1e9, flops=2e9, flops_per_core=2e9)
    model = candidate(entry(BIG), slow, DESKTOP_MEMORY)
    assert model.refusal is not None
    assert model.refusal.code == "too-slow"
    assert "s of computing for a second of speech" in model.refusal.reason


def test_a_model_and_a_voice_may_be_too_slow_together() -> None:
    costs = {"llm": Cost(first_s=0.1, per_speech_s=0.9), "tts": Cost(first_s=0.1, per_speech_s=0.2)}
    models = [
        replace(each, cost=costs.get(each.entry.kind, each.cost))
        for each in shelf(DESKTOP, DESKTOP_MEMORY)
    ]
    refused = {each.refusal.code for each in combine(models, DESKTOP_MEMORY, "en") if each.refusal}
    assert refused == {"too-slow"}


def test_a_full_disk_refuses_only_what_is_still_to_be_fetched() -> None:
    memory = replace(PI_MEMORY, disk_free_bytes=10_000_000)
    refused = {each.entry.id for each in shelf(PI, memory) if each.refusal is not None}
    assert refused == {model.id for model in SHELF if "starter" not in model.packs}


def test_all_speak_the_language() -> None:
    assert {each.ids[2] for each in sets(DESKTOP, DESKTOP_MEMORY)} == {
        "espeak-en",
        "piper-en-gb-alba-medium",
        "piper-en-us-ryan-high",
    }
    assert not sets(DESKTOP, DESKTOP_MEMORY, "de"), "no language model here is for German"
    files = [
        candidate(replace(each, languages=("und",)), DESKTOP, DESKTOP_MEMORY) for each in SHELF
    ]
    assert combine(files, DESKTOP_MEMORY, "de"), "a file of the user's own is taken for it"


def test_sets_come_quickest_first_and_refused_ones_last() -> None:
    memory = replace(PI_MEMORY, free_bytes=1_500_000_000)
    found = sets(PI, memory)
    order = [(each.refusal is not None, each.first_audio_s) for each in found]
    assert order == sorted(order)
    assert {refused for refused, _ in order} == {True, False}


@pytest.mark.parametrize("profile", sorted(RULES))
def test_what_is_recommended_keeps_to_the_rule(profile: str) -> None:
    for hardware, memory in ((PI, PI_MEMORY), (DESKTOP, DESKTOP_MEMORY)):
        found = recommended(hardware, memory, profile)
        best = found.best
        assert best is not None
        if "none keeps to" not in found.because:
            assert best.first_audio_s <= RULES[profile].first_audio_s
            assert best.speech_factor <= COMFORT
            assert best.ram_bytes <= RAM_SHARE * memory.free_bytes


def test_more_machine_brings_a_larger_model() -> None:
    pi = recommended(PI, PI_MEMORY, "pi").best
    desktop = recommended(DESKTOP, DESKTOP_MEMORY, "desktop").best
    assert pi is not None
    assert desktop is not None
    assert desktop.llm.quality > pi.llm.quality


def test_the_starter_profile_stays_in_its_pack() -> None:
    best = recommended(DESKTOP, DESKTOP_MEMORY, "starter").best
    assert best is not None
    assert best.ids == ("moonshine-tiny-en", "smollm2-135m-instruct", "espeak-en")


def test_of_equals_the_profile_s_own_is_taken() -> None:
    twins = [
        entry(name, "piper", languages=("en",)) for name in ("piper-a-medium", "piper-b-medium")
    ]
    others = [each for each in SHELF if each.engine != "piper"]
    models = [candidate(each, DESKTOP, DESKTOP_MEMORY) for each in (*twins, *others)]
    found = combine(models, DESKTOP_MEMORY, "en")
    for usual in ("piper-a-medium", "piper-b-medium"):
        best = recommend(found, DESKTOP_MEMORY, "desktop", [usual]).best
        assert best is not None
        assert best.ids[2] == usual


def test_where_none_keeps_to_the_rule_it_is_the_quickest() -> None:
    slow = Hardware(bandwidth_bytes_s=3e9, flops=20e9, flops_per_core=6e9)
    found = recommended(slow, DESKTOP_MEMORY, "desktop")
    assert found.best is not None
    assert "none keeps to" in found.because
    fitting = [each for each in sets(slow, DESKTOP_MEMORY) if each.refusal is None]
    assert found.best.first_audio_s == min(each.first_audio_s for each in fitting)


def test_where_nothing_fits_nothing_is_recommended() -> None:
    memory = replace(PI_MEMORY, free_bytes=100_000_000)
    found = recommended(PI, memory, "pi")
    assert found.best is None
    assert settings_for(found.best, "pi", 4) == {}


@pytest.mark.parametrize("profile", sorted(RULES))
@pytest.mark.parametrize("cores", [1, 2, 16])
def test_the_settings_are_ones_that_there_are(profile: str, cores: int) -> None:
    best = recommended(DESKTOP, DESKTOP_MEMORY, profile).best
    assert best is not None
    settings = settings_for(best, profile, cores)
    assert settings.pop("profile") == profile
    config = load_profile(profile).with_overrides(settings)
    assert (config.stt.model, config.llm.model, config.tts.voice) == best.ids
    threads = (
        *(config.stt.num_threads, config.llm.num_threads, config.llm.num_threads_batch),
        config.tts.num_threads,
    )
    assert max(threads) <= cores


def test_every_profile_has_a_rule() -> None:
    assert set(RULES) == set(profiles())
