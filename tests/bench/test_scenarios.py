from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edge_assistant.bench.clips import Pool
from edge_assistant.bench.scenarios import (
    HUMDIAL,
    SCENARIOS,
    choice,
    echo,
    humdial_classes,
    missing_classes,
    plan,
)
from edge_assistant.bench.scenarios.common import requests
from edge_assistant.bench.scenarios.monologue import join
from edge_assistant.bench.scenarios.pauses import LENGTHS_S, boundary_frames, with_pause
from edge_assistant.bench.trial import Stimulus, Trial
from edge_assistant.bench.truth import active_dbfs, find_speech, is_loud
from edge_assistant.errors import ConfigError
from tests.bench.made_clips import clip, pool

POOL = pool()
TRIALS = plan([POOL], seed=1, size="full")


def bytes_of(trials: list[Trial]) -> list[object]:
    """Everything about the trials, sounds bit for bit."""
    sounds = [
        [
            None if sound is None else sound.tobytes()
            for sound in (trial.background, trial.room, *(s.sound for s in trial.stimuli))
        ]
        for trial in trials
    ]
    facts = [
        [
            replace(trial, stimuli=(), background=None, room=None),
            *(replace(s, sound=np.zeros(0, np.float32)).speech_frames for s in trial.stimuli),
            *((s.label, s.role, s.begins, s.delay_s, s.is_user) for s in trial.stimuli),
        ]
        for trial in trials
    ]
    return [*sounds, *facts]


def user_stimuli() -> list[Stimulus]:
    return [s for trial in TRIALS for s in trial.stimuli if s.is_user]


def test_every_scenario_is_there_in_its_number() -> None:
    counts = Counter(trial.scenario for trial in TRIALS)
    assert counts == {name: scenario.full for name, scenario in SCENARIOS.items()}
    for name in ("turn_taking", "pauses", "interruption"):
        assert counts[name] >= 40
    standard = Counter(trial.scenario for trial in plan([POOL], seed=1))
    assert standard == {name: scenario.count for name, scenario in SCENARIOS.items()}
    assert len({trial.id for trial in TRIALS}) == len(TRIALS)


def test_a_condition_by_itself_gets_as_many_trials_as_its_scenario() -> None:
    asked = ("pauses/0.7", "pauses/1=3", "interruption/stop", "noises/cough", "backchannel=5")
    trials = plan([POOL], asked, seed=1, size="full")
    assert Counter(f"{trial.scenario}/{trial.condition}" for trial in trials) == {
        "pauses/0.7": SCENARIOS["pauses"].full,
        "pauses/1": 3,
        "interruption/stop": SCENARIOS["interruption"].full,
        "noises/cough": SCENARIOS["noises"].full,
        "backchannel/response": 5,
    }
    counts = Counter(trial.condition for trial in plan([POOL], ["pauses", "pauses/1=2"], count=7))
    assert counts["1"] == 2
    assert len(plan([POOL], ["pauses/0.7"], count=7)) == 7


def test_a_trial_is_the_same_whether_its_condition_was_asked_for_or_not() -> None:
    names = [f"{name}/{each}" for name, s in SCENARIOS.items() for each in s.conditions]
    by_id = {trial.id: trial for trial in plan([POOL], names, seed=1, count=2)}
    shared = [trial for trial in TRIALS if trial.id in by_id]
    assert {t.scenario for t in shared} == {n for n, s in SCENARIOS.items() if s.conditions}
    assert bytes_of(shared) == bytes_of([by_id[trial.id] for trial in shared])


def test_every_condition_can_be_asked_for_by_its_name() -> None:
    for name, scenario in SCENARIOS.items():
        made = {trial.condition for trial in TRIALS if trial.scenario == name}
        assert len(made) == 1 or made <= set(scenario.conditions)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tea_break", "scenario-unknown"),
        ("pauses/0.6", "scenario-condition-unknown"),
        ("pauses/", "scenario-condition-unknown"),
        ("turn_taking/request", "scenario-condition-unknown"),
        ("pauses=0", "scenario-count"),
        ("pauses/0.7=", "scenario-count"),
        ("pauses=-3", "scenario-count"),
    ],
)
def test_what_cannot_be_asked_for_is_named(text: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choice(text)
    assert caught.value.code == code


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert bytes_of(plan([pool()], seed=1, size="full")) == bytes_of(TRIALS)
    other = plan([POOL], seed=2, size="full")
    assert [trial.id for trial in other] == [trial.id for trial in TRIALS]
    for name in ("turn_taking", "pauses", "interruption", "backchannel", "both_start"):
        mine, theirs = (
            [(s.label, s.delay_s) for t in ts if t.scenario == name for s in t.stimuli]
            for ts in (TRIALS, other)
        )
        assert mine != theirs, name


def test_the_quick_run_is_a_part_of_the_full_one() -> None:
    by_id = {trial.id: trial for trial in TRIALS}
    quick, standard = plan([POOL], seed=1, size="quick"), plan([POOL], seed=1)
    assert 20 <= len(quick) < len(standard) / 4
    assert len(standard) < len(TRIALS)
    for part in (quick, standard):
        assert bytes_of(part) == bytes_of([by_id[trial.id] for trial in part])


def test_all_nine_classes_of_humdial_are_covered() -> None:
    assert len(HUMDIAL) == 9
    assert humdial_classes(TRIALS) == set(HUMDIAL)
    assert humdial_classes(plan([POOL], seed=1, size="quick", names=["pauses"])) == {"pause"}


def test_a_class_is_missing_only_where_its_scenario_was_run() -> None:
    seen = {(trial.scenario, trial.condition) for trial in TRIALS}
    assert missing_classes(seen) == []
    assert missing_classes(seen - {("interruption", "stop")}) == ["stop"]
    assert missing_classes({("turn_taking", "request")}) == []


def test_annotated_speech_is_loud_and_the_rest_is_not() -> None:
    assert len(user_stimuli()) > 150
    for item in user_stimuli():
        if not item.speech_frames:
            assert item.role == "noise"
            continue
        loud = is_loud(item.sound)
        inside = np.zeros(len(loud), dtype=bool)
        for first, last in item.speech_frames:
            assert first % 160 == last % 160 == 0
            assert loud[[first // 160, last // 160 - 1]].all(), item.label
            inside[first // 160 : last // 160] = True
        assert not loud[~inside].any(), item.label
        assert loud[inside].mean() > 0.9, item.label
        assert active_dbfs(item.sound) == pytest.approx(-26.0, abs=0.5)


@pytest.mark.parametrize("length_s", LENGTHS_S)
def test_a_made_pause_has_exactly_its_length(length_s: float) -> None:
    trials = [t for t in TRIALS if t.scenario == "pauses" and t.condition == f"{length_s:g}"]
    assert len(trials) >= 6
    for trial in trials:
        (item,) = trial.stimuli
        (_, end), (onset, _) = item.speech_frames
        assert onset - end == round(length_s * 16_000)
        assert find_speech(item.sound).frames == item.speech_frames
        assert not is_loud(item.sound)[end // 160 : onset // 160].any()


def test_a_pause_replaces_the_silence_that_was_there_and_leaves_the_words_alone() -> None:
    for words in ([(30, 100), (105, 190)], [(30, 110), (160, 230)]):
        whole = clip(words, frames=280, kind="clause")
        gap = boundary_frames(whole)
        assert gap is not None
        assert gap[1] - gap[0] == (words[1][0] - words[0][1]) * 160
        paused = with_pause(whole, 0.7, seed=3)
        (_, end), (onset, last) = paused.speech_frames
        assert (end, onset - end) == (gap[0], 11_200)
        assert paused.sound[:end].tobytes() == whole.sound[: gap[0]].tobytes()
        assert paused.sound[onset:].tobytes() == whole.sound[gap[1] :].tobytes()
        assert last - onset == (words[1][1] - words[1][0]) * 160
        inner = paused.sound[end:onset]
        assert inner.any()
        assert np.abs(np.diff(inner)).max() < 0.01


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([(30, 190)], "no quiet place"),
        ([(30, 50), (55, 190)], "too little before it"),
        ([(30, 90), (115, 160), (190, 250)], "two pauses"),
        ([(30, 100), (102, 190)], "a silence of 20 ms may be inside a word"),
    ],
)
def test_a_clip_without_a_boundary_is_not_parted(words: list[tuple[int, int]], why: str) -> None:
    whole = clip(words, frames=300, kind="clause")
    assert boundary_frames(whole) is None, why
    with pytest.raises(ValueError, match="no place"):
        with_pause(whole, 0.5, seed=0)


def test_a_pause_must_be_whole_frames() -> None:
    whole = clip([(30, 100), (105, 190)], frames=240, kind="clause")
    with pytest.raises(ValueError, match="multiple of 10 ms"):
        with_pause(whole, 0.505, seed=0)


def test_natural_pauses_are_rows_of_their_own() -> None:
    natural = [t for t in TRIALS if t.condition == "natural"]
    assert natural
    for trial in natural:
        frames = trial.stimuli[0].speech_frames
        assert any(b[0] - a[1] == 50 * 160 for a, b in pairwise(frames))


def test_interruptions_come_2_s_into_a_reply_to_an_opener() -> None:
    for trial in (t for t in TRIALS if t.scenario == "interruption"):
        question, interruption = trial.stimuli
        assert question.label.startswith("opener/")
        assert (interruption.begins, interruption.delay_s) == ("into_reply", 2.0)
        assert interruption.label.startswith(trial.condition)
        assert interruption.role == ("stop" if trial.condition == "stop" else "interruption")
    conditions = Counter(t.condition for t in TRIALS if t.scenario == "interruption")
    assert set(conditions.values()) == {8}


def test_a_class_with_too_few_clips_is_left_out() -> None:
    clips = [c for c in POOL.clips if c.kind != "negation"] + list(POOL.of("negation"))[:2]
    poorer = Pool(source="synthetic", clips=tuple(clips))
    assert "negation" not in humdial_classes(plan([poorer], ["interruption"]))


def test_a_request_is_clear_whole_and_more_than_one_word() -> None:
    good = clip([(30, 130)], frames=180, kind="command", number=0)
    others = [
        clip([(30, 130)], frames=180, kind="read", number=1),
        clip([(30, 130)], frames=132, kind="command", number=2),
        clip([(30, 80), (110, 180)], frames=220, kind="command", number=3),
        clip([(30, 90)], frames=180, kind="command", number=4),
        clip([(30, 130)], frames=180, kind="command", number=5, text="yes"),
    ]
    assert requests(Pool(source="synthetic", clips=(*others, good))) == [good]


def test_a_user_who_starts_with_the_system_starts_with_speech() -> None:
    for trial in (t for t in TRIALS if t.scenario == "both_start"):
        second = trial.stimuli[1]
        assert second.speech_frames[0][0] == 0
        assert 0.0 <= second.delay_s <= 0.1


def test_what_is_not_meant_for_the_system_is_not_the_user() -> None:
    for trial in (t for t in TRIALS if t.scenario in ("noises", "side_talk")):
        assert not trial.stimuli[-1].is_user
    assert {t.condition for t in TRIALS if t.scenario == "noises"} == {
        *("cough", "knock", "keyboard", "tap", "music", "babble", "tv")
    }


def test_every_echo_level_meets_every_room_with_and_without_the_user() -> None:
    trials = plan([POOL], ["echo"], count=12)
    expected = {
        f"{room}_{db}dB_{user}"
        for room in echo.ROOMS
        for db in echo.LEVELS_DB
        for user in ("alone", "talking")
    }
    assert {trial.condition for trial in trials} == expected
    for trial in trials:
        assert trial.room is not None
        assert float(np.sum(np.square(trial.room))) == pytest.approx(1.0, abs=1e-4)
        assert f"_{trial.echo_db:g}dB_" in trial.condition
        assert len(trial.stimuli) == (2 if trial.condition.endswith("talking") else 1)


def test_a_silent_minute_has_no_stimulus_and_lasts() -> None:
    for trial in plan([POOL], ["silence"], count=3):
        assert trial.stimuli == ()
        assert trial.limit_s == trial.tail_s == 60.0
        assert trial.background is not None
        assert len(trial.background) >= 16_000


def test_a_trial_has_time_for_all_of_its_stimuli() -> None:
    for trial in TRIALS:
        sound_s = sum(len(item.sound) / 16_000 for item in trial.stimuli)
        assert trial.limit_s > sound_s
        assert 0.0 < trial.tail_s <= trial.limit_s


def test_passages_of_one_speaker_are_joined_with_pauses() -> None:
    parts = [clip([(30, 430)], frames=460, kind="read", number=n) for n in range(12)]
    whole = join(parts, seed=4)
    assert 20.0 < whole.speech_s <= 40.0
    assert find_speech(whole.sound).frames == whole.speech_frames
    assert all(b[0] - a[1] >= 0.4 * 16_000 for a, b in pairwise(whole.speech_frames))


def test_real_and_made_speech_keep_their_names_and_shared_sounds_come_once() -> None:
    real = Pool(
        source="real",
        clips=tuple(replace(c, source="real") for c in POOL.clips if c.kind != "opener"),
        openers=POOL.of("opener"),
    )
    trials = plan([real, POOL], seed=1, size="full")
    assert len({trial.id for trial in trials}) == len(trials)
    assert sum(trial.id == "noises/cough/synthetic/000" for trial in trials) == 1
    assert Counter(t.source for t in trials if t.scenario == "turn_taking") == {
        "real": 40,
        "synthetic": 40,
    }
    for trial in trials:
        assert f"/{trial.source}/" in trial.id
        if trial.scenario == "interruption" and trial.source == "real":
            assert trial.stimuli[0].label.startswith("opener/")


def test_an_empty_pool_gives_only_what_needs_no_speech() -> None:
    trials = plan([Pool(source="real", clips=())])
    assert {trial.scenario for trial in trials} == {"silence"}


def test_an_unknown_scenario_is_named() -> None:
    with pytest.raises(ConfigError, match="tea_break") as caught:
        plan([POOL], ["tea_break"])
    assert "turn_taking" in caught.value.hint
