"""Moonshine: files that are wrong, cancelling inside an operator graph, long recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_assistant.audio.format import Samples
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import ModelCorrupt, ModelIncompatible, ModelNotFound
from edge_assistant.stt.moonshine import LONGEST_S, MoonshineRecognizer
from tests.engines.detectors import StarterFile
from tests.engines.recognizers import moonshine
from tests.engines.tokens import OnlyStopsNativeCode, TellsWhenWatched, cancel_when_watched

MODEL = "moonshine-tiny-en"


@pytest.mark.model
class TestMoonshine:
    def test_a_cancel_from_another_thread_ends_native_code(
        self, starter_file: StarterFile, spoken_question: Samples, long_talk: Samples
    ) -> None:
        recognizer = moonshine(starter_file)
        expected = recognizer.transcribe(spoken_question, CancelToken()).text
        with pytest.raises(TurnCancelled):
            recognizer.transcribe(spoken_question, OnlyStopsNativeCode())
        token = TellsWhenWatched()
        canceller = cancel_when_watched(token)
        try:
            with pytest.raises(TurnCancelled):
                recognizer.transcribe(long_talk, token)
        finally:
            canceller.join()
        assert recognizer.transcribe(spoken_question, CancelToken()).text == expected

    def test_two_threads_give_the_same_text(
        self, starter_file: StarterFile, spoken_question: Samples
    ) -> None:
        one, two = (moonshine(starter_file, num_threads=each) for each in (1, 2))
        texts = [each.transcribe(spoken_question, CancelToken()).text for each in (one, two)]
        assert texts[0] == texts[1]

    def test_a_long_recording_is_cut_between_sentences(
        self, starter_file: StarterFile, long_talk: Samples
    ) -> None:
        transcript = moonshine(starter_file).transcribe(long_talk, CancelToken())
        assert transcript.text.lower().count("weather like in") >= 23
        assert all(each.end_s - each.start_s <= LONGEST_S for each in transcript.segments)

    @pytest.mark.parametrize("missing", ["encoder", "decoder", "tokenizer"])
    def test_missing_file(self, starter_file: StarterFile, tmp_path: Path, missing: str) -> None:
        files = model_files(starter_file) | {missing: tmp_path / "none"}
        with pytest.raises(ModelNotFound) as caught:
            build(files)
        assert caught.value.hint == "edge-assistant models pull moonshine-tiny-en"

    @pytest.mark.parametrize("spoilt", ["encoder", "decoder"])
    @pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"\0" * 4096])
    def test_unreadable_file(
        self, starter_file: StarterFile, tmp_path: Path, spoilt: str, data: bytes
    ) -> None:
        path = tmp_path / "model.ort"
        path.write_bytes(data)
        with pytest.raises(ModelCorrupt):
            build(model_files(starter_file) | {spoilt: path})

    def test_encoder_and_decoder_in_the_wrong_places(self, starter_file: StarterFile) -> None:
        files = model_files(starter_file)
        swapped = files | {"encoder": files["decoder"], "decoder": files["encoder"]}
        with pytest.raises(ModelIncompatible):
            build(swapped)


def build(files: dict[str, Path]) -> MoonshineRecognizer:
    return MoonshineRecognizer(
        encoder=files["encoder"], decoder=files["decoder"], tokenizer=files["tokenizer"]
    )


def model_files(starter_file: StarterFile) -> dict[str, Path]:
    return {
        "encoder": starter_file(MODEL, "encoder_model.ort"),
        "decoder": starter_file(MODEL, "decoder_model_merged.ort"),
        "tokenizer": starter_file(MODEL, "tokenizer.bin"),
    }
