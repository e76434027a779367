from __future__ import annotations

from pathlib import Path

import pytest

from edge_assistant.bench.norms import load_norms, norms_for, why_none
from edge_assistant.errors import ConfigError


def test_english_has_all_norms() -> None:
    norms = norms_for("en")
    assert norms is not None
    assert norms.response_gap_s is not None
    assert norms.response_gap_s.value == 0.2
    assert norms.backchannel_most_s is not None
    assert norms.takeover_most_words is not None
    assert {"yeah", "uh-huh", "mm", "i see"} <= norms.words()
    assert norms_for("en-GB") is norms
    assert why_none("en") == ""


def test_a_language_without_a_source_has_no_entry_and_says_so() -> None:
    assert norms_for("xx") is None
    assert "'xx'" in why_none("xx")
    assert "en" in why_none("xx")


def test_a_language_has_only_what_has_a_source() -> None:
    german = norms_for("de")
    assert german is not None
    assert "mhm" in german.words()
    assert german.response_gap_s is None
    danish = norms_for("da")
    assert danish is not None
    assert not danish.is_backchannel("ja")


@pytest.mark.parametrize("text", ["Yeah.", "Uh-huh", "okay, right!", "I see.", "mm-hmm, I see"])
def test_listener_responses(text: str) -> None:
    norms = norms_for("en")
    assert norms is not None
    assert norms.is_backchannel(text)


@pytest.mark.parametrize("text", ["", "...", "no", "yeah but", "I see a dog", "stop"])
def test_anything_else_is_none(text: str) -> None:
    norms = norms_for("en")
    assert norms is not None
    assert not norms.is_backchannel(text)


@pytest.mark.parametrize("language", sorted(load_norms()))
def test_words_are_written_as_they_are_looked_up(language: str) -> None:
    norms = load_norms()[language]
    for word in norms.words():
        assert norms.is_backchannel(word), word
        assert norms.is_backchannel(word.capitalize() + ".")


@pytest.mark.parametrize(
    "text",
    [
        '[xx]\nname = "X"\n[xx.response_gap_s]\nvalue = 0.2\nwhat = "a gap of people"\n',
        '[xx]\nname = "X"\n[[xx.backchannels]]\nwords = ["m"]\n',
        '[xx]\nname = "X"\n[[xx.backchannels]]\nwords = ["m"]\nsource = ""\n',
        '[xx]\nname = "X"\nmood = 1\n',
        "not toml",
    ],
)
def test_a_number_or_word_without_a_source_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "norms.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_norms(file)
    assert caught.value.code == "norms-unreadable"
