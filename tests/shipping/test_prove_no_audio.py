"""`prove --no-audio`: every planted way of keeping what was said is found, and nothing else."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.proof import canary, contents, enclosure, no_audio
from edge_assistant_packaging.proof.canary import Canary
from edge_assistant_packaging.proof.sightings import Seeker
from edge_assistant_packaging.proof.subject import Subject

from edge_assistant.audio.files import write_wav
from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.config import Config
from edge_assistant.errors import ModelNotFound
from edge_assistant.tts.espeak import EspeakVoice
from tests.shipping.stand_in import BREACHES, TRANSCRIPT

STAND_IN = Path(__file__).with_name("stand_in.py")
SOUND = (
    *("wav", "renamed", "int16", "odd offset", "float32", "uint8", "8 kHz", "22.05 kHz", "48 kHz"),
    *("a piece", "stereo", "flac", "flac at 32 kHz", "ogg", "mp3", "gzip", "bzip2", "xz", "zip"),
    *("base64", "base64 lines", "base64 pieces", "hexadecimal", "numbers", "number pieces"),
    *("ogg behind another", "appended gzip", "appended bzip2", "appended xz", "database"),
)
WORDS = (
    *("words", "words in utf-16", "words in base64", "words in hexadecimal", "words in an address"),
)


def has_attributes() -> bool:
    with tempfile.NamedTemporaryFile() as file:
        try:
            os.setxattr(file.name, "user.a", b"")
        except OSError:
            return False
        return True


needs_attributes = pytest.mark.skipif(not has_attributes(), reason="no attributes of files")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture(scope="module")
def bird() -> Canary:
    """Two seconds of a canary: the search is quicker."""
    whole = canary.make(7)
    return Canary(seed=7, text=whole.text, words=whole.words, sound=whole.sound[:40_000])


@pytest.fixture(scope="module")
def seeker(bird: Canary) -> Seeker:
    return Seeker(bird, [TRANSCRIPT])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def seek(seeker: Seeker, folder: Path) -> list[str]:
    files = [path for path in folder.iterdir() if path.is_file()]
    assert files
    return [str(each) for path in files for each in seeker.search(path.name, path.read_bytes())]


@pytest.mark.parametrize("breach", SOUND)
def test_kept_sound_is_found(
    seeker: Seeker, bird: Canary, home: Path, tmp_path_factory: pytest.TempPathFactory, breach: str
) -> None:
    user = tmp_path_factory.mktemp("said") / "user.wav"
    write_wav(user, bird.sound)
    BREACHES[breach](user)
    (found,) = seek(seeker, home)
    assert "sound of the canary" in found


@pytest.mark.parametrize("breach", WORDS)
def test_kept_words_are_found(seeker: Seeker, home: Path, breach: str) -> None:
    BREACHES[breach](home)
    (found,) = seek(seeker, home)
    assert "what is a pineapple" in found


def test_another_voice_noise_and_chance_words_are_let_pass(bird: Canary) -> None:
    seeker = Seeker(bird, [TRANSCRIPT])
    noise = np.random.default_rng(0)
    others = [
        (canary.question()[:30_000] * 32_767).astype("<i2").tobytes(),
        noise.bytes(60_000),
        bytes(60_000),
        ("a pineapple! " * 500).encode(),
        b"0123456789" * 2_000,
        b"QUJD" * 2_000,
    ]
    assert [seeker.search("x", other) for other in others] == [[]] * len(others)
    assert 0.05 < seeker.highest_miss < 0.55


def test_half_of_what_is_stored_wrongly_still_counts(seeker: Seeker, bird: Canary) -> None:
    """At half its level, with noise at 10 dB below it."""
    noise = np.random.default_rng(0).standard_normal(len(bird.signal)).astype(np.float32)
    level = float(np.std(bird.signal)) * 10 ** (-10 / 20)
    kept = ((bird.signal * 0.5 + noise * level * 0.5) * 32_767).astype("<i2")
    assert len(seeker.search("x", kept.tobytes())) == 1


def test_what_is_too_large_to_be_searched_is_told(
    bird: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MAX_UNPACKED_BYTES", 1000)
    seeker = Seeker(bird, [TRANSCRIPT])
    assert seeker.search("x", gzip.compress(bytes(2000) + TRANSCRIPT.encode())) == []
    assert seeker.cut == ["x > deflate"]


def subject(bird: Canary, breach: str, **environ: str) -> Subject:
    return Subject(
        config=Config(),
        models=Path("/nowhere"),
        speech=bird.sound,
        program=(sys.executable, str(STAND_IN), breach),
        environ={"PYTHONPATH": ":".join(filter(None, sys.path)), **environ},
        longest_s=60.0,
    )


@needs_strace
def test_a_turn_that_keeps_nothing_holds(bird: Canary) -> None:
    proof = no_audio.prove(subject(bird, "none"), bird)
    assert (proof.verdict, proof.breaches, proof.unchecked) == ("held", [], [])
    assert proof.checked["files opened for writing"] == 1
    assert proof.checked["searched"]["of these"][0].startswith("asked/reply.wav: ")
    assert "verdict: held" in proof.to_text()


@needs_strace
@pytest.mark.parametrize(
    ("breach", "told"),
    [
        ("wav", "home/last.wav: sound"),
        ("removed", "(as it was written): sound"),
        ("far away", "far/away: sound"),
        ("shared memory", "/dev/shm/"),
        ("words to a log", "sent to another program through socket:"),
        ("sound to a log", "sent to another program through socket:"),
        ("words as a name", "names and attributes of files: words"),
        ("words as a removed folder", "names and attributes of files: words"),
        pytest.param(
            "words as an attribute", "names and attributes of files: words", marks=needs_attributes
        ),
        ("words on stderr", "standard output and error: words"),
        ("exit", "ended with 3"),
    ],
)
def test_wherever_it_is_written(bird: Canary, tmp_path: Path, breach: str, told: str) -> None:
    (tmp_path / "far").mkdir()
    far = tmp_path / "far" / "away"
    proof = no_audio.prove(subject(bird, breach, FAR_AWAY=str(far)), bird)
    (Path("/dev/shm") / str(far).replace("/", "_")).unlink(missing_ok=True)
    assert proof.verdict == "breached"
    assert any(told in each for each in proof.breaches), proof.breaches


@needs_strace
@pytest.mark.parametrize("breach", ["large and renamed", "words within the process"])
def test_what_is_there_or_between_its_own_threads_is_no_breach(bird: Canary, breach: str) -> None:
    proof = no_audio.prove(subject(bird, breach), bird)
    assert (proof.verdict, proof.breaches, proof.unchecked) == ("held", [], [])


@needs_strace
@pytest.mark.parametrize(
    "breach", ["mapped and removed", "mapped and replaced", "large and emptied"]
)
def test_a_file_that_is_gone_unseen_leaves_it_unproved(bird: Canary, breach: str) -> None:
    proof = no_audio.prove(subject(bird, breach), bird)
    assert (proof.verdict, proof.breaches) == ("incomplete", [])
    assert "written unseen" in proof.unchecked[0]


def test_without_a_trace_it_is_not_proved(bird: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosure, "choose_watch", lambda: ("seccomp", "strace is not installed"))
    proof = no_audio.prove(subject(bird, "none"), bird)
    assert proof.verdict == "incomplete"
    assert "strace is not installed" in proof.unchecked[0]


@needs_strace
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="there is no program espeak-ng")
@pytest.mark.parametrize(("breach", "verdict"), [("none", "held"), ("wav", "breached")])
def test_where_the_library_was_left_out_the_program_is_the_canary(
    monkeypatch: pytest.MonkeyPatch, breach: str, verdict: str
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # as if it were not installed
    monkeypatch.setattr(EspeakVoice, "__init__", None)  # nor is the system's library to be loaded
    bird = canary.make(7)
    assert len(canary.question()) > SAMPLE_RATE
    assert no_audio.prove(subject(bird, breach), bird).verdict == verdict


def test_without_the_library_and_the_program_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ModelNotFound) as told:
        canary.make(7)
    assert (told.value.code, told.value.hint) == (
        "espeak-program-missing",
        "sudo apt install espeak-ng",
    )


def test_a_blind_search_is_not_believed(bird: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seeker, "search", lambda self, place, data: [])
    with pytest.raises(ShippingError) as told:
        no_audio.prove(subject(bird, "none"), bird)
    assert told.value.code == "proof-watch-blind"
