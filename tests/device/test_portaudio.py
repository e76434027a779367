"""The real PortAudio, on a PulseAudio without a sound card: speak, hear, lose, regain."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.device.conftest import ROOT, Run
from tests.device.sound_server import SoundServer

pytestmark = pytest.mark.device


def test_it_hears_the_room_and_is_heard(run: Run) -> None:
    facts = run("speak_and_hear")
    assert facts["rates"] == [16_000, 48_000]
    assert facts["heard_hz"] == pytest.approx(440, abs=8)
    assert facts["spoken_hz"] == pytest.approx(1_000, abs=8)
    assert facts["dtypes"] == ["float32"]
    assert facts["block_frames"] == [160]
    assert facts["gaps"] == []
    assert facts["playback_is_contiguous"]
    assert facts["times_rise"]
    assert facts["xruns_after"] == facts["xruns_before"]
    assert facts["silent_after_stop"]
    assert facts["lost"] == []


def test_a_device_is_found_by_its_name(run: Run) -> None:
    assert run("opens", json.dumps([None, "desk_phone", "PHONE", "pulse"])) == {
        "null": {"name": "default / default"},
        '"desk_phone"': {"name": "desk_phone / desk_phone"},
        '"PHONE"': {"name": "desk_phone / desk_phone"},
        '"pulse"': {"name": "pulse / pulse"},
    }


def test_a_device_is_found_by_its_index(run: Run, server: SoundServer) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_assistant", "devices", "--json"],
        cwd=ROOT,
        env=server.environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    listed = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert listed["default"]["is_default_input"]
    assert listed["default"]["is_default_output"]
    index = listed["desk_headset"]["index"]
    opened = run("opens", json.dumps([index, str(index)]))
    assert list(opened.values()) == [{"name": "desk_headset / desk_headset"}] * 2


def test_a_device_that_cannot_be_meant_is_refused(run: Run) -> None:
    ambiguous, unknown, too_high = run("opens", json.dumps(["desk", "nonesuch", 999])).values()
    assert ambiguous["code"] == "device-ambiguous"
    assert "desk_phone" in ambiguous["message"]
    assert "desk_headset" in ambiguous["message"]
    assert unknown["code"] == too_high["code"] == "device-not-found"
    assert "'nonesuch'" in unknown["message"]
    assert "999" in too_high["message"]
    assert ambiguous["hint"]
    assert unknown["hint"]


def test_a_device_that_refuses_our_rate_is_opened_at_its_own(run: Run) -> None:
    facts = run("refused_rate")
    assert facts["rates"] == [44_100, 44_100]
    assert facts["heard_hz"] == pytest.approx(440, abs=8)
    assert facts["spoken_hz"] == pytest.approx(1_000, abs=8)
    assert 0.4 < facts["peak"] < 0.6


def test_a_loudspeaker_is_not_taken_for_the_lost_microphone(run: Run) -> None:
    facts = run("microphone_replaced_by_monitor")
    assert len(facts["lost"]) == 1
    assert facts["lost"][0].startswith("microphone-lost: ")
    assert "'mic'" in facts["lost"][0]
    assert "'spk.monitor'" in facts["lost"][0]
    assert_regained(facts)


def test_another_microphone_goes_on_and_is_named(run: Run) -> None:
    facts = run("microphone_replaced_by_another")
    speaker, microphone = facts["lost"]
    assert speaker.startswith("loudspeaker-moved: ")
    assert "'micsrc'" in speaker
    assert microphone.startswith("microphone-moved: ")
    assert "'mic2'" in microphone
    assert facts["backs"] == 2


@pytest.mark.parametrize("scenario", ["all_devices_gone", "daemon_killed"])
def test_lost_devices_are_reported_once_and_regained(run: Run, scenario: str) -> None:
    facts = run(scenario)
    assert len(facts["lost"]) == 1
    assert facts["lost"][0].split(":")[0] in {"sound-lost", "microphone-lost", "loudspeaker-lost"}
    assert_regained(facts)


def assert_regained(facts: dict[str, object]) -> None:
    assert facts["heard_while_lost"] == 0
    assert facts["backs_while_lost"] == 0
    assert facts["backs"] == 1
    assert facts["threads"] == ["MainThread"]
    gaps, away_s = facts["gaps"], facts["away_s"]
    assert isinstance(gaps, list)
    assert isinstance(away_s, float)
    assert len(gaps) == 1, "the sample clock jumps once"
    # a null sink holds up to 2 s, which may be counted to either side of the gap
    assert gaps[0] / 16_000 == pytest.approx(away_s, abs=2.5)


def test_stopping_while_the_device_is_lost_does_not_hang(run: Run) -> None:
    facts = run("stop_while_lost")
    assert not facts["hung"]
    assert facts["losses"] == 1
    assert facts["threads"] == ["MainThread"]


def test_opening_and_closing_leaves_nothing_behind(run: Run) -> None:
    facts = run("open_and_close", "20")
    assert facts["after"] == facts["before"]


def test_a_callback_that_fails_is_reported_once_and_sound_goes_on(run: Run) -> None:
    facts = run("raising_callbacks")
    assert len(facts["lost"]) == 1
    assert "KeyError: 'a mistake'" in facts["lost"][0]
    assert "[audio-callback-failed]" in facts["lost"][0]


def test_without_a_sound_server_the_way_out_is_named(run: Run, server: SoundServer) -> None:
    server.kill()
    facts = run("opens", "[null]")["null"]
    assert facts["code"] in {"no-microphone", "audio-permission"}
    assert facts["hint"]


def test_a_missing_library_is_named_with_its_package(run: Run) -> None:
    facts = run("library_missing")
    assert facts["code"] == "portaudio-missing"
    assert facts["hint"] == "sudo apt install libportaudio2"
