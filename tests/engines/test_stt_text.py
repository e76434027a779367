"""The parts of speech recognition that run no engine: tokenizer file, cutting, made-up words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.errors import ModelCorrupt, ModelNotFound
from edge_assistant.stt import invention
from edge_assistant.stt.pieces import cut_at_pauses
from edge_assistant.stt.settings import Settings
from edge_assistant.stt.tokenizer import MAX_FILE_BYTES, Tokenizer
from tests.engines.sounds import silence, tone, white_noise


def written(tokens: list[bytes]) -> bytes:
    """`tokens` in the form of `tokenizer.bin`."""
    parts = []
    for token in tokens:
        size = len(token)
        head = bytes([size]) if size < 128 else bytes([128 + size % 128, size // 128])
        parts.append(head + token)
    return b"".join(parts)


def read(folder: Path, data: bytes) -> Tokenizer:
    path = folder / "tokenizer.bin"
    path.write_bytes(data)
    return Tokenizer.read(path)


class TestTokenizer:
    def test_joins_pieces_and_leaves_control_tokens_out(self, tmp_path: Path) -> None:
        spaced = [b"<s>", b"</s>", "\u2581Good".encode(), "\u2581morn".encode(), b"ing", b"."]
        tokenizer = read(tmp_path, written(spaced))
        assert tokenizer.text([0, 2, 3, 4, 5, 1]) == "Good morning."

    def test_joins_the_bytes_of_one_character(self, tmp_path: Path) -> None:
        tokenizer = read(tmp_path, written([b"caf", b"\xc3", b"\xa9"]))
        assert tokenizer.text([0, 1, 2]) == "caf\u00e9"
        assert tokenizer.text([0, 1]) == "caf\ufffd"

    def test_numbers_outside_are_left_out(self, tmp_path: Path) -> None:
        assert read(tmp_path, written([b"a"])).text([-1, 0, 1, 10**9]) == "a"

    @pytest.mark.parametrize("size", [1, 127, 128, 129, 255, 300, 16_000])
    def test_lengths_of_one_and_two_bytes(self, tmp_path: Path, size: int) -> None:
        tokenizer = read(tmp_path, written([b"x" * size, b"", b"y"]))
        assert len(tokenizer) == 3
        assert tokenizer.text([0, 2]) == "x" * size + "y"

    @pytest.mark.parametrize("data", [b"", b"\x05abc", b"\x80", b"\xff\xffabc", b"\x01a\x02b"])
    def test_damaged_file(self, tmp_path: Path, data: bytes) -> None:
        with pytest.raises(ModelCorrupt) as caught:
            read(tmp_path, data)
        assert caught.value.hint == "edge-assistant models pull moonshine-tiny-en"

    def test_endless_files(self, tmp_path: Path) -> None:
        with pytest.raises(ModelCorrupt, match="larger"):
            read(tmp_path, bytes(MAX_FILE_BYTES + 1))
        with pytest.raises(ModelCorrupt, match="more than"):
            read(tmp_path, bytes(MAX_FILE_BYTES))

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound):
            Tokenizer.read(tmp_path / "tokenizer.bin")

    @given(data=st.binary(max_size=400))
    def test_any_bytes_are_read_whole_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        try:
            tokenizer = read(tmp_path_factory.getbasetemp(), data)
        except ModelCorrupt:
            return
        assert 0 < len(tokenizer) <= len(data)
        tokenizer.text(range(len(tokenizer)))


class TestCutting:
    @given(seconds=st.floats(0, 200), longest_s=st.floats(2, 30))
    @settings(max_examples=60)
    def test_pieces_cover_everything_and_none_is_too_long(
        self, seconds: float, longest_s: float
    ) -> None:
        audio = np.ones(int(seconds * SAMPLE_RATE), dtype=np.float32)
        spans = cut_at_pauses(audio, longest_s=longest_s)
        edges = [0, *(end for _, end in spans)]
        assert [start for start, _ in spans] == edges[:-1]
        assert edges[-1] == len(audio)
        assert all(0 < end - start <= longest_s * SAMPLE_RATE for start, end in spans)

    def test_cuts_in_the_pause(self) -> None:
        audio = np.concatenate([tone(7, dbfs=-20), silence(0.5), tone(7, dbfs=-20)])
        (_, cut), _ = cut_at_pauses(audio, longest_s=10)
        assert 7.0 <= cut / SAMPLE_RATE <= 7.5

    def test_short_audio_stays_whole(self) -> None:
        assert cut_at_pauses(silence(28), longest_s=28) == [(0, 28 * SAMPLE_RATE)]
        assert cut_at_pauses(silence(0), longest_s=28) == []


class TestSilence:
    def test_levels(self) -> None:
        assert invention.loudest_dbfs(silence(1)) == float("-inf")
        assert invention.loudest_dbfs(silence(0)) == float("-inf")
        assert invention.loudest_dbfs(tone(1, dbfs=-30)) == pytest.approx(-30, abs=0.5)

    def test_one_short_word_in_silence_is_not_silence(self) -> None:
        assert not invention.is_silent(np.concatenate([silence(10), tone(0.1, dbfs=-45)]))
        assert invention.is_silent(white_noise(10, dbfs=-70))


class TestLoops:
    @pytest.mark.parametrize("period", [1, 2, 3, 5, 12])
    def test_a_loop_from_the_start_leaves_nothing(self, period: int) -> None:
        ids = list(range(period)) * 12
        kept = [invention.believable_tokens(ids[:end]) for end in range(len(ids) + 1)]
        assert 0 in kept

    def test_a_loop_at_the_end_leaves_one_round(self) -> None:
        speech = list(range(100, 140))
        ids = speech + [1, 2, 3] * 4
        assert invention.believable_tokens(ids) == len(speech) + 3
        assert invention.believable_tokens(ids[:-1]) is None

    @pytest.mark.parametrize(
        "ids",
        [
            [],
            [7] * 8,  # "no, no, no, no"
            [1, 2] * 4 + [3],
            list(range(200)),
            [1, 2, 3, 4] * 3,
            [1, 2, 3] * 4 + [9],
        ],
    )
    def test_speech_is_no_loop(self, ids: list[int]) -> None:
        assert invention.believable_tokens(ids) is None


class TestInvention:
    @pytest.mark.parametrize(
        ("text", "mean_log_prob"),
        [
            ("", -0.1),
            ("\u266a\u266a\u266a", -0.1),
            ("...", -0.1),
            ("\u5927\u5bb6\u554a", -0.1),
            ("You", -0.05),
            ("So", -0.3),
            ("Thank you.", -0.6),
            ("Thank you for watching.", -0.05),
            ("Thanks for watching!", -0.05),
            ("[Music]", -0.05),
            ("We also know the small budget snake.", -0.95),
        ],
    )
    def test_left_out(self, text: str, mean_log_prob: float) -> None:
        assert invention.is_invented(text, mean_log_prob=mean_log_prob)

    @pytest.mark.parametrize(
        "text",
        ["Thank you.", "You.", "Okay.", "You can go", "What is on TV?", "10.", "\u00c9t\u00e9."],
    )
    def test_believed(self, text: str) -> None:
        assert not invention.is_invented(text, mean_log_prob=-0.2)

    def test_other_scripts_where_the_language_has_them(self) -> None:
        text = "\u041f\u0440\u0438\u0432\u0435\u0442"
        assert invention.is_invented(text, mean_log_prob=-0.1)
        assert not invention.is_invented(text, mean_log_prob=-0.1, latin=False)

    def test_another_threshold(self) -> None:
        assert not invention.is_invented("Go on.", mean_log_prob=-0.9, min_mean_log_prob=-1.0)


class TestSettings:
    def test_defaults(self) -> None:
        assert Settings() == Settings(model="moonshine-tiny-en", num_threads=0, language="en")

    @pytest.mark.parametrize(
        "table", [{"num_threads": -1}, {"language": "English"}, {"modell": "base.en"}]
    )
    def test_refuses(self, table: dict[str, object]) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(table, Settings)
