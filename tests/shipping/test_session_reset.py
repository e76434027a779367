"""Who comes next must not meet the words of who was there before: idle, and all is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.config import Config
from edge_assistant.llm.llamacpp import LlamaCpp
from edge_assistant.stt.protocol import Forgetful, Transcript
from edge_assistant.tts.cache import CachedVoice
from edge_assistant.tts.fallback import FallbackVoice
from edge_assistant.turns.commands import OpenTurn, ResetSession
from edge_assistant.turns.settings import Settings
from tests.engines.llm_model import GREEDY, SYSTEM, assistant, reply, user
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.fakes.engines import FakeLlm, FakeRecognizer, FakeVoice
from tests.fakes.screenplay import Screenplay
from tests.pipeline.conftest import calm_machine
from tests.pipeline.test_assistant import Stage, stage

__all__ = ["calm_machine", "stage"]

SECRET = "my name is Rumpelstiltskin"
IDLE_S = 5.0


def test_after_the_last_answer_all_is_forgotten_once() -> None:
    play = Screenplay(rules=Settings(reset_after_idle_s=5)).user(1.0, 2.0, SECRET).run(20.0)
    (reset,) = play.commands(ResetSession)
    assert reset == ResetSession()
    assert play.history.exchanges == ()
    finished_s = play.when(OpenTurn) + sum(play.heard_frames.values()) / 16_000
    assert play.when(ResetSession) > finished_s + 5.0


def test_who_comes_back_in_time_is_known() -> None:
    play = Screenplay(rules=Settings(reset_after_idle_s=5))
    play.user(1.0, 2.0, SECRET).user(9.0, 10.0, "who am i").run(12.0)
    assert play.history.exchanges[0].user == SECRET
    assert not play.commands(ResetSession)


def test_chatter_that_is_not_meant_for_it_keeps_nobody_alive() -> None:
    """With a wake phrase most of what is heard in a public room is for somebody else."""
    play = Screenplay(rules=Settings(reset_after_idle_s=5, listen="wake"))
    play.user(1.0, 2.0, f"hey assistant {SECRET}")
    for second in range(6, 30, 2):
        play.user(second, second + 1.0, "so i said to him")
    play.run(16.0)
    assert play.commands(ResetSession)
    assert play.history.exchanges == ()


def test_without_the_setting_nothing_is_forgotten() -> None:
    play = Screenplay().user(1.0, 2.0, SECRET).run(60.0)
    assert not play.commands(ResetSession)
    assert len(play.history.exchanges) == 1


@settings(max_examples=40)
@given(
    pauses_s=st.lists(st.floats(0.3, 9.0), min_size=1, max_size=6),
    listen=st.sampled_from(["open", "wake"]),
)
def test_it_never_resets_while_someone_speaks_and_always_at_last(
    pauses_s: list[float], listen: str
) -> None:
    play = Screenplay(rules=Settings(reset_after_idle_s=4, listen=listen))  # type: ignore[arg-type]
    at_s = 0.5
    for pause_s in pauses_s:
        play.user(at_s, at_s + 1.0, f"hey assistant {SECRET}")
        at_s += 1.0 + pause_s
    idle_at: list[bool] = []
    forward, before = play.orders.execute, list[bool]()

    def watch(command: object) -> None:
        if isinstance(command, ResetSession):
            before.append(play.state.is_idle)
            idle_at.append(play.playout.is_idle)
        forward(command)  # type: ignore[arg-type]

    play.orders.execute = watch  # type: ignore[method-assign]
    play.run(at_s + 20.0)
    assert idle_at
    assert all(before)
    assert all(idle_at)
    assert play.history.exchanges == ()


class KeepingRecognizer(FakeRecognizer):
    """Keeps its last words, as Moonshine does for a guess."""

    kept = ""

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        found = super().transcribe(audio, token)
        self.kept = found.text or self.kept
        return found

    def forget(self) -> None:
        self.kept = ""


def test_every_engine_of_a_whole_assistant_forgets(stage: Callable[..., Stage]) -> None:
    voice, recognizer = FakeVoice(), KeepingRecognizer(SECRET)
    assert isinstance(recognizer, Forgetful)
    cached = CachedVoice(voice, 1_000_000)
    s = stage(
        recognizer=recognizer,
        llm=FakeLlm("Hello Rumpelstiltskin."),
        voice=FallbackVoice(cached, FakeVoice(), lambda error: None),
        config=Config().with_overrides({"turns.reset_after_idle_s": int(IDLE_S)}),
    )
    s.ask()
    s.wait_for_turns(1)
    assert "Rumpelstiltskin." in " ".join(s.llm.held)
    assert cached.size_bytes
    s.silence_until(lambda: bool(s.named("session_reset")))
    s.silence_until(lambda: "Rumpelstiltskin." not in " ".join(s.llm.held))
    s.silence_until(lambda: s.llm.held[-1:] == ["user:"])  # taken in again: ready for the next
    s.silence_until(lambda: cached.size_bytes == 0 and not recognizer.kept)
    (event,) = s.named("session_reset")
    assert (event["exchanges"], "turn" in event) == (1, False)
    assert s.assistant.history.exchanges == ()
    s.ask()
    assert SECRET not in str(s.llm.prompts[-1][:-1])


def test_the_sound_of_who_was_there_is_overwritten(stage: Callable[..., Stage]) -> None:
    """The ring reaches further back than the pause after which all is forgotten."""
    config = Config().with_overrides({"turns.reset_after_idle_s": int(IDLE_S)})
    s = stage(config=config)
    assert s.assistant._parts is not None
    kept = s.assistant._parts.ears._heard._buffer
    assert len(kept) / SAMPLE_RATE > 3 * IDLE_S
    s.ask()
    s.wait_for_turns(1)
    assert np.count_nonzero(kept)
    s.silence_until(lambda: bool(s.named("session_reset")))
    assert not np.count_nonzero(kept)
    s.ask()  # and it hears on


@pytest.mark.parametrize("architecture", ["llama", "mamba"])
def test_a_real_model_starts_over(tmp_path: Path, architecture: str) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", architecture=architecture)  # type: ignore[arg-type]
    said = [SYSTEM, user(SECRET), assistant("Hello."), user("Who am I?")]
    fresh, used = (LlamaCpp(path, template="chatml", settings=GREEDY) for _ in range(2))
    expected = reply(fresh, SYSTEM, user("Good day."))
    reply(used, *said)
    used.prefill(said[:3], CancelToken())
    used.forget()
    assert used._memory.tokens == []
    assert bytes(used._memory.state()) == bytes(_empty(path))
    assert reply(used, SYSTEM, user("Good day.")) == expected
    used.forget()
    used.prefill([SYSTEM], CancelToken())
    assert used.stats.reused_tokens == 0
    fresh.close()
    used.close()


def _empty(path: Path) -> memoryview:
    model = LlamaCpp(path, template="chatml", settings=GREEDY)
    try:
        return model._memory.state()
    finally:
        model.close()
