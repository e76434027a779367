"""Language models through llama.cpp, with a token loop of our own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import GenerationError, ModelIncompatible
from edge_assistant.llm.memory import TokenMemory
from edge_assistant.llm.native import Native
from edge_assistant.llm.prompt import (
    SENTENCE_ENDS,
    Part,
    find_template,
    render,
    render_open_user,
    render_unfinished,
)
from edge_assistant.llm.protocol import GenerationStats, Message
from edge_assistant.llm.reply import ReplyText, is_looping
from edge_assistant.llm.sentences import ends_sentence
from edge_assistant.llm.settings import Settings
from edge_assistant.llm.state_file import KeptPrompt, StateFolder

GPU_CHUNK_TOKENS = 32
"""On a GPU the abort switch is not asked, so a prompt goes in small pieces with a look at the token
between."""

TAIL_CHARS = 80
"""Enough of what was said to see whether a sentence has ended."""

BEGINNING_TOKENS = 32
"""Of the last reply that are remembered: more than the first clause, and quick to take in again."""

REMEMBERED_PARTS = 256
"""Parts of prompts, such as a message, whose tokens are remembered: a prompt is taken apart up to
three times a turn, and all but its end was in the one before. For 791 tokens it takes 9 ms, and 0.1
where all are known (median of 30, two cores of an EPYC)."""

_NO_STATS = GenerationStats(
    prompt_tokens=0,
    reused_tokens=0,
    generated_tokens=0,
    ttft_s=0.0,
    evaluated_tokens=0,
    dropped_tokens=0,
)


class LlamaCpp:
    """A GGUF model on llama.cpp; see `LanguageModel` for the contract.

    The KV cache keeps whatever was evaluated last; each call reuses the longest prefix that its
    prompt shares with it, rolls the rest back, and evaluates what is missing. A model whose state
    cannot be rolled back (recurrent or hybrid) goes back to its last `prefill` or starts over.

    Thread: one call at a time, on the `llm` thread; `set_threads` and `close` from any thread.

    Args:
        path: absolute path of a GGUF file that the store has checked.
        template: name of a pinned template in `prompt.TEMPLATES`.
        settings: of the language model.
        states: where the state behind a system prompt is kept from one start to the next.

    Raises:
        ModelNotFound: there is no file at `path`.
        ModelIncompatible: llama.cpp cannot run the file, or the template is unknown or not this
            model's.
    """

    def __init__(
        self,
        path: Path,
        *,
        template: str,
        settings: Settings,
        states: StateFolder | None = None,
    ) -> None:
        self._template = find_template(template)
        self._settings = settings
        self._native = Native(path, settings)
        chunk_tokens = self._native.n_batch
        if settings.gpu_layers:
            chunk_tokens = min(chunk_tokens, GPU_CHUNK_TOKENS)
        self._memory = TokenMemory(self._native, chunk_tokens)
        self._kept: KeptPrompt | None = None
        if states is not None:
            facts = (*self._native.state_facts, template, f"gpu_layers={settings.gpu_layers}")
            self._kept = KeptPrompt(states, path, facts)
        self._tokens_of = lru_cache(REMEMBERED_PARTS)(self._tokenize)
        self._lock = threading.Lock()  # around native work, so that close() waits for its end
        self._is_closed = False
        self._threads: tuple[int, int] | None = None  # asked for, not applied yet
        self._begun: tuple[list[int], list[int]] = ([], [])
        """The last prompt, and the first tokens of the reply to it."""
        self._judged: tuple[list[int], float] = ([], 0.0)
        """The last prompt that was judged, and how."""
        self._call = 0
        self._stats = _NO_STATS
        self._counted = (0, 0)  # tokens evaluated and dropped before the last call
        with ExitStack() as undo:
            undo.callback(self.close)
            self._markers = frozenset(self._marker_tokens(path))
            self._ends = self._end_tokens()
            undo.pop_all()

    @property
    def stats(self) -> GenerationStats:
        """Of the last call, also if it was cancelled or refused; `generate` begins with the first
        `next`."""
        evaluated, dropped = self._counted
        return replace(
            self._stats,
            evaluated_tokens=self._memory.evaluated - evaluated,
            dropped_tokens=self._memory.dropped - dropped,
        )

    @property
    def n_ctx(self) -> int:
        """Tokens of context: as configured, or as trained where that is less."""
        return self._native.n_ctx

    @property
    def prompt_budget(self) -> int:
        """Tokens that a prompt may have so that a whole reply still fits behind it."""
        return self.n_ctx - min(self._settings.max_tokens, self.n_ctx // 2)

    def set_threads(self, num_threads: int) -> None:
        """Use this many threads from the next native call on, for prompts and replies alike; what
        the settings name stays as it is."""
        if num_threads < 1:
            raise ValueError(f"num_threads must be at least 1, not {num_threads}")
        fixed, fixed_batch = self._settings.num_threads, self._settings.num_threads_batch
        self._threads = (fixed or num_threads, fixed_batch or num_threads)

    def prefill(self, messages: Sequence[Message], token: CancelToken) -> None:
        """Evaluate `messages` ahead of time.

        Up to where the next user message opens; if the last message is the user's own, up to where
        the reply begins, and then `generate` with the same messages has nothing left to evaluate.

        Raises:
            TurnCancelled: within milliseconds on a CPU; what was evaluated stays valid.
            GenerationError: the engine failed or the prompt does not fit; the instance stays
                usable.
        """
        self._begun, self._judged = ([], []), ([], 0.0)  # the conversation has gone on
        is_asked = bool(messages) and messages[-1].role == "user"
        parts = (render if is_asked else render_open_user)(messages, self._template)
        with self._armed(token) as call:
            # Only what holds nobody's words goes to the disk.
            if self._kept is not None and all(each.role == "system" for each in messages):
                with self._native_step(call, token):
                    self._kept.recall(self._memory, self._tokens(parts))
            with self._native_step(call, token):
                prompt = self._prompt(parts)
            self._evaluate(prompt, call, token, needs_logits=is_asked)
            if not is_asked:
                with self._native_step(call, token):
                    self._memory.checkpoint()

    def generate(self, messages: Sequence[Message], token: CancelToken) -> Iterator[str]:
        """Yield the reply piece by piece, valid UTF-8 each; nothing runs before the first `next`.

        Asked the same as the last time, it says the beginning of its reply again at once, and only
        what follows is thought of: a draft that was dropped for a moment of noise costs nothing.

        The reply ends where the model ends it, at `max_tokens`, at the first sentence end after
        `wrap_up_tokens`, when the context is full, or when it goes round in circles.

        Raises:
            TurnCancelled: within milliseconds on a CPU; closing the iterator stops the reply as
                well.
            GenerationError: the engine failed or the prompt does not fit; the instance stays
                usable.
            ValueError: another call was begun before this one ended.
        """
        started_s = time.perf_counter()
        with self._armed(token) as call:
            with self._native_step(call, token):
                prompt = self._prompt(render(messages, self._template))
            yield from self._reply(prompt, call, token, started_s)

    def end_probability(self, messages: Sequence[Message], token: CancelToken) -> float:
        """Probability in [0, 1] that the last message, which is the user's, is complete.

        The model's own probability that what follows the last word is the end of a sentence or of
        the message. Of 214 recordings it told true ends from cuts at inner pauses with an AUC of
        0.76 (SmolLM2-135M), where the sound alone gave 0.61.

        Raises:
            TurnCancelled: within milliseconds on a CPU; what was evaluated stays valid.
            GenerationError: the engine failed or the prompt does not fit; the instance stays
                usable.
        """
        with self._armed(token) as call:
            with self._native_step(call, token):
                prompt = self._prompt(render_unfinished(messages, self._template))
            if prompt != self._judged[0]:
                self._evaluate(prompt, call, token, needs_logits=True)
                with self._native_step(call, token):
                    self._judged = (prompt, self._native.probability(self._ends))
            return self._judged[1]

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of the prompt for a reply to `messages`."""
        with self._lock:
            self._check_open()
            return len(self._tokens(render(messages, self._template)))

    def forget(self) -> None:
        """Forget every word: the KV cache is overwritten, and the tokens and beginnings of replies
        that are kept for the next turn go with it."""
        with self._armed(CancelToken()) as call, self._native_step(call, CancelToken()):
            self._memory.forget()
            self._tokens_of.cache_clear()
            self._begun, self._judged = ([], []), ([], 0.0)

    def close(self) -> None:
        """Stop what runs and give the memory back; calling it twice is fine. Any thread."""
        self._is_closed = True
        self._native.abort.set()
        with self._lock:
            self._native.close()

    @contextmanager
    def _armed(self, token: CancelToken) -> Iterator[int]:
        """Begin a call, give its number, and let `token` stop native work until it ends."""
        self._call += 1
        self._stats = _NO_STATS
        self._counted = (self._memory.evaluated, self._memory.dropped)
        self._native.abort.clear()
        unsubscribe = token.on_cancel(self._native.abort.set)
        try:
            yield self._call
        finally:
            unsubscribe()

    @contextmanager
    def _native_step(self, call: int, token: CancelToken) -> Iterator[None]:
        with self._lock:
            self._check(call, token)
            threads, self._threads = self._threads, None
            if threads:
                self._native.set_threads(*threads)
            yield

    def _check(self, call: int, token: CancelToken) -> None:
        self._check_open()
        if call != self._call:
            raise ValueError("another call was begun before this one ended")
        token.raise_if_cancelled()

    def _check_open(self) -> None:
        if self._is_closed:
            raise GenerationError("llm-closed", "the language model was closed")

    def _prompt(self, parts: Sequence[Part]) -> list[int]:
        """Tokens of a prompt that leaves room for a reply."""
        prompt = self._tokens(parts)
        if len(prompt) >= self.n_ctx:
            raise GenerationError(
                "prompt-too-long",
                f"the prompt has {len(prompt)} tokens, the context {self.n_ctx}",
                "drop the oldest turns, or raise llm.n_ctx",
            )
        return prompt

    def _evaluate(
        self, prompt: Sequence[int], call: int, token: CancelToken, *, needs_logits: bool
    ) -> None:
        with self._native_step(call, token):
            reused = self._memory.roll_back(prompt, needs_logits=needs_logits)
            self._stats = replace(_NO_STATS, prompt_tokens=len(prompt), reused_tokens=reused)
            if self._kept is not None:
                self._kept.keep_on_the_way(self._memory, prompt, lambda: self._check(call, token))
            self._memory.extend(prompt, lambda: self._check(call, token))

    def _resume(
        self, prompt: Sequence[int], said: Sequence[int], call: int, token: CancelToken
    ) -> None:
        """Stand where `said` has been said in reply to `prompt`."""
        self._evaluate([*prompt, *said], call, token, needs_logits=True)
        with self._native_step(call, token):
            self._native.restart_sampler()
            for each in said:
                self._native.accept(each)

    def _reply(
        self, prompt: list[int], call: int, token: CancelToken, started_s: float
    ) -> Iterator[str]:
        settings, native, memory = self._settings, self._native, self._memory
        reply = ReplyText(self._template.markers)
        known = self._begun[1] if self._begun[0] == prompt else []
        is_known = True
        said: list[int] = []
        tail = ""
        while len(said) < settings.max_tokens:
            if is_known and len(said) == len(known):
                is_known = False
                self._resume(prompt, said, call, token)
            with self._native_step(call, token):
                chosen = known[len(said)] if is_known else native.sample()
                data = native.piece(chosen)
                is_end = chosen in self._markers or native.is_end(chosen)
            if not said:
                ttft_s = time.perf_counter() - started_s
                self._stats = replace(self._stats, ttft_s=ttft_s)
            if is_end:
                break
            said.append(chosen)
            if not is_known and len(said) <= BEGINNING_TOKENS:
                self._begun = (prompt, list(said))
            self._stats = replace(self._stats, generated_tokens=len(said))
            text = reply.feed(data)
            if len(said) > settings.wrap_up_tokens and text[:1].isspace() and ends_sentence(tail):
                return
            if text:
                tail = (tail + text)[-TAIL_CHARS:]
                yield text
            if is_known:
                continue
            if reply.is_stopped or is_looping(said) or len(memory.tokens) + 1 >= self.n_ctx:
                break
            with self._native_step(call, token):
                memory.extend([*memory.tokens, chosen], lambda: self._check(call, token))
        if rest := reply.finish():
            yield rest

    def _tokens(self, parts: Sequence[Part]) -> list[int]:
        """Tokens of a prompt."""
        return [token for part in parts for token in self._tokens_of(part)]

    def _tokenize(self, part: Part) -> tuple[int, ...]:
        """Tokens of a part; nobody's words can become a control token.

        Tokenising without control tokens is not enough: llama.cpp still parses those that a file
        declares as "user defined", so any that come out of somebody's words are dropped.
        """
        found = self._native.tokenize(part.text, special=part.special)
        if not part.special:
            found = [t for t in found if t not in self._markers and not self._is_role(t)]
        return tuple(found)

    def _is_role(self, token: int) -> bool:
        return self._native.is_control(token) or self._native.is_end(token)

    def _end_tokens(self) -> list[int]:
        """What can follow the last word of a message: its end, or that of a sentence."""
        found = {self._native.tokenize(self._template.close, special=True)[0]}
        for mark in SENTENCE_ENDS:
            found.update(self._native.tokenize(mark, special=False)[-1:])
        return sorted(found)

    def _marker_tokens(self, path: Path) -> Iterator[int]:
        markers = self._template.markers
        for marker in (self._template.start, *markers) if self._template.start else markers:
            found = self._native.tokenize(marker, special=True)
            if len(found) != 1:
                raise ModelIncompatible(
                    "template-mismatch",
                    f"{path.name} has no token {marker!r}: it is not of the family"
                    f" {self._template.name!r}",
                    "name the template of the model's family",
                )
            yield found[0]
