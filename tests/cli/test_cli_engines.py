"""The verbs that need engines, on the starter pack."""

from __future__ import annotations

import json
import re
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import Run

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("starter_pack")]


def words(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower()).strip()


def test_what_is_said_can_be_transcribed(run: Run, tmp_path: Path) -> None:
    """And in its file's own rate, channels and container."""
    spoken = tmp_path / "said.wav"
    assert run("say", "What is the capital of France?", "--output", str(spoken)).code == 0
    with wave.open(str(spoken)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
    samples, rate = soundfile.read(spoken)
    silence = np.zeros(rate)
    twice = np.concatenate([silence, samples, silence, samples])
    stereo = tmp_path / "stereo.flac"
    soundfile.write(stereo, np.stack([twice, twice], axis=1), rate)

    ended = run("transcribe", "--json", str(spoken), str(stereo))
    first, second = json.loads(ended.out)
    assert words(first["text"]) == "what is the capital of france"
    assert words(second["text"]).count("what is the capital of") == 2
    starts = [segment["start_s"] for segment in second["segments"]]
    length_s = len(samples) / rate
    assert starts == pytest.approx([1.0, 2.0 + length_s], abs=0.4)
    assert second["duration_s"] == pytest.approx(2 * (1 + length_s), abs=0.01)


def test_subtitles_and_lines(run: Run, tmp_path: Path) -> None:
    spoken = tmp_path / "said.wav"
    run("say", "-", "--output", str(spoken), stdin="Turn on the light.")
    number, span, text, *_ = run("transcribe", "--srt", str(spoken)).out.split("\n")
    assert number == "1"
    assert re.fullmatch(r"00:00:0\d,\d{3} --> 00:00:0\d,\d{3}", span)
    assert words(text) == "turn on the light"
    (line,) = run("transcribe", str(spoken)).out.splitlines()
    assert re.match(r"\[00:00:0\d\.\d{3} - 00:00:0\d\.\d{3}\] Turn on", line)


def test_a_file_that_is_no_sound_costs_only_itself(run: Run, tmp_path: Path) -> None:
    page, spoken = tmp_path / "page.wav", tmp_path / "said.wav"
    page.write_text("<html>not found</html>")
    run("say", "Good morning.", "-o", str(spoken))
    ended = run("transcribe", "--json", str(page), str(tmp_path / "absent.wav"), str(spoken))
    assert ended.code == 74
    assert [Path(each["file"]).name for each in json.loads(ended.out)] == ["said.wav"]
    assert ended.err.count("error [sound-file") == 2


def test_silence_has_no_words(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(16_000 * 3), 16_000)
    ended = run("transcribe", "--json", str(path))
    assert json.loads(ended.out)[0]["segments"] == []


def test_ask_prints_the_reply(run: Run) -> None:
    plain = run("ask", "What is the capital of France?")
    assert plain.code == 0
    assert len(plain.out.split()) > 1
    told = json.loads(run("ask", "--json", "-", stdin="What is the capital of France?").out)
    assert told["text"] == plain.out.strip()
    assert told["generated_tokens"] > 0


def test_a_missing_model_is_told_with_the_command_that_fetches_it(run: Run) -> None:
    ended = run("ask", "--llm", "qwen2.5-0.5b-instruct", "Hello", EDGE_ASSISTANT_MODELS_DIR="empty")
    assert ended.code == 1
    assert "error [model-not-installed]: " in ended.err
    assert "edge-assistant models pull qwen2.5-0.5b-instruct" in ended.err


def test_a_conversation_over_files(run: Run, tmp_path: Path) -> None:
    user, reply, log = (tmp_path / name for name in ("user.wav", "reply.wav", "events.jsonl"))
    run("say", "What is the capital of France?", "-o", str(user))
    ended = run("converse", str(user), str(reply), "--events", str(log), "--tail-s", "40")
    assert ended == (0, "", "")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    by_name = {event["event"]: event for event in events}
    assert events[0]["event"] == "listening"
    assert words(by_name["transcript"]["text"]) == "what is the capital of france"
    heard = by_name["playback_finished"]["heard"]
    assert heard
    samples, rate = soundfile.read(reply)
    assert rate == 16_000
    begins = round(by_name["playback_started"]["t"] * rate)
    assert np.abs(samples[: begins - 160]).max() == 0.0
    assert np.abs(samples[begins:]).max() > 0.05
    assert len(samples) < 16_000 * 40


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, a disk without space")
def test_events_that_are_lost_are_told(run: Run, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "user.wav", np.zeros(1600, np.float32), 16_000)
    arguments = ("user.wav", "reply.wav", "--tail-s", "0")
    ended = run("converse", *arguments, "--events", "/dev/full")
    assert ended.code == 74
    assert "error [events-incomplete]: /dev/full" in ended.err
    assert soundfile.info(tmp_path / "reply.wav").frames > 0


def test_without_a_sound_card_run_says_so_or_shows_a_conversation(run: Run) -> None:
    """Nobody's microphone is called that, so no sound card of this machine counts."""
    nowhere = ("--input-device", "a microphone that is not there")
    alone = run("run", *nowhere)
    assert alone.code == 69
    assert re.search(r"^error \[[a-z-]+\]: .+\nhint: .+", alone.err)

    shown = run("run", "--demo-if-silent", *nowhere)
    assert shown.code == 0
    assert "What is the capital of France?" in shown.err
    assert re.search(r"assistant  \S", shown.err)
    assert re.search(r"together +\d\.\d{3}", shown.err)
    (reply,) = re.findall(r"the reply in (.+)$", shown.err, re.MULTILINE)
    samples, _ = soundfile.read(reply)
    assert np.abs(samples).max() > 0.05


def test_doctor_finds_the_engines_and_the_models(run: Run) -> None:
    ended = run("doctor", "--json")
    report = json.loads(ended.out)
    assert ended.code == (0 if report["can_talk"] else 1)
    found = {(each["topic"], each["name"]): each for each in report["findings"]}
    assert found["engine", "llama-cpp-python"]["state"] == "ok"
    assert found["model", "llm"]["state"] == "ok"
    for each in report["findings"]:
        assert (each["state"] == "ok") == (each["mend"] == "")


def test_doctor_says_what_to_type(run: Run, tmp_path: Path) -> None:
    ended = run("doctor", "--profile", "desktop", EDGE_ASSISTANT_MODELS_DIR=str(tmp_path / "empty"))
    assert ended.code == 1
    assert "edge-assistant models pull llama-3.2-1b-instruct" in ended.out
    broken = tmp_path / "broken.toml"
    broken.write_text("[turns]\nx = 1\n")
    ended = run("doctor", "--config", str(broken))
    assert ended.code == 1
    assert f"{broken}:2: unknown key `x`" in ended.out
