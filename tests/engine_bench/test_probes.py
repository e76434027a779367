"""What the probes ask of their engines, on engines whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.llm import QUESTION, LlmProbe
from edge_assistant.engine_bench.probe import Sheet
from edge_assistant.engine_bench.readings import METRICS, Round, Stage
from edge_assistant.engine_bench.speech import Clip, Speech
from edge_assistant.engine_bench.stt import SttProbe
from edge_assistant.engine_bench.tts import LONG_TEXT, TEXTS, TtsProbe
from edge_assistant.errors import SynthesisError
from edge_assistant.llm.protocol import GenerationStats, LanguageModel, Message
from edge_assistant.stt.protocol import Transcript
from edge_assistant.tts.protocol import SpeechChunk
from tests.engines.llm_model import tiny_llm
from tests.engines.tiny_gguf import write_tiny_gguf


def sheet(stage: Stage) -> Sheet:
    return Sheet(round=Round(index=0), stage=stage, model="it")


def values(written: Sheet) -> dict[str, float]:
    """The last value of each figure."""
    return {each.metric: each.value for each in written.round.readings}


class Watched:
    """A language model whose cache is looked at after the prompt of each call."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.calls: list[tuple[str, int, int]] = []
        """What was called, tokens of its prompt, tokens that were in the cache."""
        self.prompt_budget = model.prompt_budget

    @property
    def stats(self) -> GenerationStats:
        return self._model.stats

    def prefill(self, messages: Sequence[Message], token: CancelToken) -> None:
        self._model.prefill(messages, token)
        self._note("prefill")

    def generate(self, messages: Sequence[Message], token: CancelToken) -> Iterator[str]:
        assert messages[-1].content == QUESTION
        for count, piece in enumerate(self._model.generate(messages, token)):
            if count == 0:
                self._note("generate")
            yield piece

    def end_probability(self, messages: Sequence[Message], token: CancelToken) -> float:
        return self._model.end_probability(messages, token)

    def forget(self) -> None:
        self._model.forget()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._model.count_tokens(messages)

    def close(self) -> None:
        self._model.close()

    def _note(self, what: str) -> None:
        self.calls.append((what, self.stats.prompt_tokens, self.stats.reused_tokens))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A tiny model of random weights behind a pair of eyes."""
    model = Watched(tiny_llm(write_tiny_gguf(tmp_path / "tiny.gguf")))
    yield model
    model.close()


def test_first_tokens_from_the_four_states_of_the_cache(watched: Watched) -> None:
    probe, written = LlmProbe(watched, "Be brief."), sheet("llm")
    probe.first_call(CancelToken())
    watched.calls.clear()
    probe.measure(written, CancelToken())
    forget, whole, exact, again, forget_2, cold, history, prefix = watched.calls
    size, control = whole[1], 1
    assert whole == ("prefill", size, control)
    assert exact == ("generate", size, size)
    assert again == ("generate", 0, 0), "it says again how it had begun"
    assert cold == ("generate", size, control)
    assert prefix == ("generate", size, history[1])
    assert forget[1] == forget_2[1] < history[1] < size
    found = values(written)
    assert set(found) == set(METRICS["llm"]) - {"load_s", "first_call_s"}
    assert found["prompt_tokens"] == size
    assert found["new_tokens"] == size - history[1]
    assert all(value > 0 for value in found.values())


def test_what_is_aborted_in_a_language_model(watched: Watched) -> None:
    prefill, decode = LlmProbe(watched, "Be brief.").jobs()
    begun: list[int] = []
    prefill.run(CancelToken(), lambda: begun.append(len(watched.calls)))
    assert begun == [1], "the cache is emptied before"
    decode.run(CancelToken(), lambda: begun.append(len(watched.calls)))
    assert begun == [1, 4], "the prompt is evaluated and a piece is there before"


class Slow:
    """A recogniser and a voice that need no engine."""

    sample_rate = 100
    gives_word_times = False

    def __init__(self, *, frames: int = 50) -> None:
        self.frames = frames
        self.said: list[str] = []

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        self.said.append(str(len(audio)))
        return Transcript(text="one too three")

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        self.said.append(text)
        for _ in range(2):
            samples = np.zeros(self.frames, dtype=np.float32)
            yield SpeechChunk(samples=samples, start_char=0, end_char=len(text), words=None)

    def close(self) -> None:
        self.said.append("closed")


def test_a_recogniser_hears_the_clips_of_the_round() -> None:
    sound = np.zeros(SAMPLE_RATE, dtype=np.float32)
    clips = tuple(
        Clip(name=f"{at}", kind="read", text="one two three four", sound=sound) for at in range(9)
    )
    written = sheet("stt")
    SttProbe(Slow(), Speech(clips=clips, repeats=2)).measure(written, CancelToken())
    assert [each.clip for each in written.round.heard] == ["0", "1", "2", "3", "4"]
    assert {(each.edits, each.words) for each in written.round.heard} == {(2, 4)}
    assert set(values(written)) == {"rtf"}


def test_a_voice_says_every_text() -> None:
    voice, written = Slow(), sheet("tts")
    probe = TtsProbe(voice)
    probe.measure(written, CancelToken())
    assert voice.said == list(TEXTS)
    assert [each.metric for each in written.round.readings] == ["first_audio_s"] * 4 + ["rtf"]
    (job,) = probe.jobs()
    job.run(CancelToken(), lambda: voice.said.append("begun"))
    assert voice.said[-2:] == ["begun", LONG_TEXT]


def test_a_voice_without_a_sound_has_no_speed() -> None:
    with pytest.raises(SynthesisError):
        TtsProbe(Slow(frames=0)).measure(sheet("tts"), CancelToken())
