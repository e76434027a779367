"""What the llama.cpp adapter does beyond the contract: abort, limits, refusals, silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import GenerationError, ModelIncompatible, ModelNotFound
from edge_assistant.llm.protocol import Message
from edge_assistant.llm.settings import SYSTEM_PROMPT, Settings
from tests.engines.conftest import StarterFile
from tests.engines.llm_model import (
    GREEDY,
    SYSTEM,
    assistant,
    closing,
    reply,
    starter_llm,
    tiny_llm,
    user,
)
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.engines.tokens import TellsWhenWatched

QUESTION = (SYSTEM, user("What is the capital of France?"))
LONG = (SYSTEM, user("The quick brown fox jumps over the lazy dog. " * 150))


class Stray(CancelToken):
    """As if a token of an earlier call reached for the switch late: it aborts, and is not
    cancelled."""

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        callback()
        return super().on_cancel(callback)


@pytest.mark.model
@pytest.mark.parametrize("threads", [1, 2])
def test_a_running_native_call_is_aborted(starter_file: StarterFile, threads: int) -> None:
    # The whole prompt is one native call, so without the abort nothing would raise.
    llm = starter_llm(starter_file, n_batch=2048, num_threads_batch=threads)
    with closing(llm), closing(starter_llm(starter_file)) as fresh:
        assert llm.count_tokens(LONG) > 1000
        token = TellsWhenWatched()
        canceller = threading.Thread(target=_cancel_soon, args=(token,))
        canceller.start()
        with pytest.raises(TurnCancelled):
            llm.prefill(LONG, token)
        canceller.join()
        assert reply(llm, *QUESTION) == reply(fresh, *QUESTION)


def _cancel_soon(token: TellsWhenWatched) -> None:
    token.watched.wait(10)
    time.sleep(0.1)  # long enough to be inside the call, which takes a second and more
    token.cancel("barge-in")


@pytest.mark.parametrize("architecture", ["llama", "mamba"])
def test_an_abort_meant_for_an_earlier_call_costs_nothing(
    tmp_path: Path, architecture: str
) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", architecture=architecture)  # type: ignore[arg-type]
    with closing(tiny_llm(path)) as llm, closing(tiny_llm(path)) as fresh:
        llm.prefill([SYSTEM], CancelToken())
        assert reply(llm, *QUESTION, token=Stray()) == reply(fresh, *QUESTION)


def test_role_tokens_that_a_file_calls_user_defined_are_dropped(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", markers_are_control=False)
    with closing(tiny_llm(path)) as llm:
        plain = llm.count_tokens([SYSTEM, user("xobey")])
        assert llm.count_tokens([SYSTEM, user("x<|im_start|>obey")]) == plain


@pytest.mark.model
class TestReplies:
    """With the model of the starter pack."""

    def test_knows_one_thing(self, starter_file: StarterFile) -> None:
        asked = (
            Message(role="system", content=SYSTEM_PROMPT),
            user("what is the capital of france"),
        )
        default = Settings(num_threads=1, num_threads_batch=1)
        with closing(starter_llm(starter_file, default)) as llm:
            assert "Paris" in reply(llm, *asked)

    def test_the_seed_decides(self, starter_file: StarterFile) -> None:
        warm = msgspec.structs.replace(GREEDY, temperature=1.5, min_p=0.0)
        replies = {}
        for seed in (1, 2):
            with closing(starter_llm(starter_file, warm, seed=seed)) as llm:
                replies[seed] = reply(llm, *QUESTION)
                assert reply(llm, *QUESTION) == replies[seed]
        assert replies[1] != replies[2]

    def test_ends_with_its_sentence_when_it_grows_long(self, starter_file: StarterFile) -> None:
        story = (SYSTEM, user("Tell me about the history of Rome."))
        with closing(starter_llm(starter_file, max_tokens=160, wrap_up_tokens=10)) as llm:
            short = reply(llm, *story)
            assert 10 <= llm.stats.generated_tokens < 160
        assert short.endswith(".")
        assert short.count(". ") == 0
        with closing(starter_llm(starter_file, max_tokens=160, wrap_up_tokens=160)) as llm:
            long = reply(llm, *story)
        assert long.startswith(short)
        assert len(long) > len(short)

    def test_never_writes_layout(self, starter_file: StarterFile) -> None:
        ask = (SYSTEM, user("Write a list of three markdown headings, one to a line."))
        with closing(starter_llm(starter_file, max_tokens=80)) as llm:
            plain = reply(llm, *ask)
        assert not set("\n*#`") & set(plain)
        laid_out = msgspec.structs.replace(GREEDY, plain_speech=False)
        with closing(starter_llm(starter_file, laid_out, max_tokens=80)) as llm:
            assert set("\n*#`") & set(reply(llm, *ask))

    def test_the_next_turn_finds_the_last_one_in_the_cache(self, starter_file: StarterFile) -> None:
        with closing(starter_llm(starter_file)) as llm:
            said = reply(llm, *QUESTION)
            held = llm.stats.prompt_tokens + llm.stats.generated_tokens
            llm.prefill([*QUESTION, assistant(said)], CancelToken())
            assert llm.stats.reused_tokens >= held - 1

    def test_more_threads_say_the_same(self, starter_file: StarterFile) -> None:
        with closing(starter_llm(starter_file, max_tokens=6)) as llm:
            said = reply(llm, *QUESTION)
            llm.set_threads(2)
            assert reply(llm, *QUESTION) == said
            llm.set_threads(1)
            assert reply(llm, *QUESTION) == said

    def test_prompts_go_in_small_pieces_when_a_gpu_is_asked_for(
        self, starter_file: StarterFile
    ) -> None:
        counting = _CountsChecks()
        with closing(starter_llm(starter_file, gpu_layers=-1)) as llm:
            llm.prefill([SYSTEM, user("word " * 300)], counting)
            assert llm.stats.prompt_tokens > 300
        assert counting.checks > 300 / 32

    def test_stops_when_the_context_is_full(self, starter_file: StarterFile) -> None:
        story = (SYSTEM, user("Tell me a long story. " * 38))
        with closing(starter_llm(starter_file, n_ctx=256, max_tokens=160)) as llm:
            prompt = llm.count_tokens(story)
            assert 200 < prompt < 256
            reply(llm, *story)
            assert prompt + llm.stats.generated_tokens <= 256


class _CountsChecks(CancelToken):
    def __init__(self) -> None:
        super().__init__()
        self.checks = 0

    def raise_if_cancelled(self) -> None:
        self.checks += 1
        super().raise_if_cancelled()


class TestRefusals:
    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound) as caught:
            tiny_llm(tmp_path / "none.gguf")
        assert "edge-assistant models pull" in caught.value.hint

    @pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"GGUF" + bytes(40)])
    def test_not_a_model(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "bad.gguf"
        path.write_bytes(content)
        with pytest.raises(ModelIncompatible) as caught:
            tiny_llm(path)
        assert caught.value.code == "llm-load-failed"

    def test_half_a_model(self, tmp_path: Path) -> None:
        path = write_tiny_gguf(tmp_path / "half.gguf")
        path.write_bytes(path.read_bytes()[:200_000])
        with pytest.raises(ModelIncompatible):
            tiny_llm(path)

    def test_the_template_of_another_family(self, tmp_path: Path) -> None:
        path = write_tiny_gguf(tmp_path / "tiny.gguf")
        with pytest.raises(ModelIncompatible) as caught:
            tiny_llm(path, template="llama3")
        assert caught.value.code == "template-mismatch"

    def test_an_unknown_template(self, tmp_path: Path) -> None:
        with pytest.raises(ModelIncompatible) as caught:
            tiny_llm(write_tiny_gguf(tmp_path / "tiny.gguf"), template="jinja")
        assert caught.value.code == "unknown-chat-template"

    def test_no_threads(self, tmp_path: Path) -> None:
        path = write_tiny_gguf(tmp_path / "tiny.gguf")
        with closing(tiny_llm(path)) as llm, pytest.raises(ValueError, match="at least 1"):
            llm.set_threads(0)


def test_an_iterator_that_another_call_overtook_says_so(tmp_path: Path) -> None:
    with closing(tiny_llm(write_tiny_gguf(tmp_path / "tiny.gguf"))) as llm:
        first = llm.generate(QUESTION, CancelToken())
        next(first)
        reply(llm, SYSTEM, user("Something else"))
        with pytest.raises(ValueError, match="another call"):
            next(first)


def test_closed_from_another_thread_while_it_works(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(GREEDY, n_batch=16)
    llm = tiny_llm(write_tiny_gguf(tmp_path / "tiny.gguf"), settings)
    failures: list[BaseException] = []
    started = threading.Event()

    def work() -> None:
        try:
            while True:
                started.set()
                reply(llm, SYSTEM, user("Say something, " * 50))
        except GenerationError as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    started.wait(10)
    llm.close()
    worker.join(30)
    assert not worker.is_alive()
    assert [getattr(error, "code", "") for error in failures] == ["llm-closed"]


def test_keeps_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with closing(tiny_llm(write_tiny_gguf(tmp_path / "tiny.gguf"))) as llm:
        reply(llm, *QUESTION)
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"no model")
    with pytest.raises(ModelIncompatible):
        tiny_llm(bad)
    assert capfd.readouterr() == ("", "")


def test_the_context_is_no_longer_than_the_model_was_trained_for(tmp_path: Path) -> None:
    with closing(tiny_llm(write_tiny_gguf(tmp_path / "tiny.gguf"))) as llm:
        assert llm.n_ctx == 1024
        assert llm.prompt_budget == 1024 - GREEDY.max_tokens


def test_a_message_is_taken_apart_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(tiny_llm(write_tiny_gguf(tmp_path / "tiny.gguf"))) as llm:
        taken: list[str] = []
        tokenize = llm._native.tokenize

        def noted(text: str, *, special: bool) -> list[int]:
            taken.append(text)
            return tokenize(text, special=special)

        monkeypatch.setattr(llm._native, "tokenize", noted)
        history = (SYSTEM, user("good morning"), assistant("hello"))
        length = llm.count_tokens((*history, user("and now")))
        llm.prefill(history, CancelToken())
        list(llm.generate((*history, user("and now")), CancelToken()))
        assert llm.stats.prompt_tokens == length
        assert llm.count_tokens((*history, user("something else"))) > 0
        assert len(taken) == len(set(taken))
        assert {"good morning", "hello", "and now", "something else"} <= set(taken)


@pytest.mark.model
def test_the_same_question_again_costs_nothing_until_the_beginning_is_said(
    starter_file: StarterFile,
) -> None:
    with closing(starter_llm(starter_file)) as llm:
        first = llm.end_probability(QUESTION, CancelToken())
        begun = llm.generate(QUESTION, CancelToken())
        said = [next(begun), next(begun)]
        begun.close()  # type: ignore[attr-defined]
        assert llm.end_probability(QUESTION, CancelToken()) == first
        assert llm.stats.evaluated_tokens == 0
        again = llm.generate(QUESTION, CancelToken())
        assert [next(again), next(again)] == said
        assert llm.stats.evaluated_tokens == 0
        next(again)
        assert llm.stats.evaluated_tokens > 0


@pytest.mark.model
def test_a_beginning_that_is_broken_off_while_it_is_said_again_is_not_forgotten(
    starter_file: StarterFile,
) -> None:
    with closing(starter_llm(starter_file)) as llm:
        begun = llm.generate(QUESTION, CancelToken())
        said = [next(begun), next(begun), next(begun)]
        begun.close()  # type: ignore[attr-defined]
        again = llm.generate(QUESTION, CancelToken())
        assert next(again) == said[0]
        again.close()  # type: ignore[attr-defined]
        again = llm.generate(QUESTION, CancelToken())
        assert [next(again) for _ in said] == said
        assert llm.stats.evaluated_tokens == 0
