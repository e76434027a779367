"""What the KV cache holds, token by token, and how to change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

from edge_assistant.errors import GenerationError
from edge_assistant.llm.native import ABORTED, Native


class TokenMemory:
    """The evaluated tokens of one sequence.

    Invariant: `tokens` is what the native memory holds, also after an abort or an error.

    A model with recurrent parts cannot be cut at a token; it goes back to its checkpoint or starts
    over.

    Args:
        native: the context.
        chunk_tokens: most tokens of a prompt that go into one native call.
    """

    def __init__(self, native: Native, chunk_tokens: int) -> None:
        self._native = native
        self._chunk_tokens = chunk_tokens
        self._has_logits = False  # logits of the last of `tokens`, ready to sample from
        self._saved: tuple[list[int], Any] = ([], None)
        self._adopted = 0  # tokens whose state came from elsewhere
        self.tokens: list[int] = []
        self.evaluated = 0
        """Tokens given to the model so far; a piece that it did not finish counts whole."""
        self.reached = 0
        """Length of the longest sequence that was ever held, or begun."""

    @property
    def dropped(self) -> int:
        """Tokens that are no longer held; those of a piece that failed never were."""
        return self.evaluated + self._adopted - len(self.tokens)

    def roll_back(self, prompt: Sequence[int], *, needs_logits: bool) -> int:
        """Forget all but the longest beginning of `prompt` that is held.

        Returns:
            How many tokens of `prompt` need no evaluation. If a reply is to follow (`needs_logits`)
            and the logits behind the last one are gone, that one is evaluated again.
        """
        pairs = zip(self.tokens, prompt, strict=False)
        keep = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        has_logits = self._has_logits and keep == len(self.tokens)
        if needs_logits and keep == len(prompt) and not has_logits:
            keep -= 1
        if keep < len(self.tokens):
            self._keep(keep)
        return len(self.tokens)

    def extend(self, target: Sequence[int], check: Callable[[], None]) -> None:
        """Evaluate what `target` has beyond `tokens`, which must be its beginning.

        Args:
            target: the tokens to hold afterwards.
            check: called before each native call and after an abort; stops the work by raising.

        Raises:
            GenerationError: llama.cpp refused or failed; `tokens` is what it still holds.
        """
        while len(self.tokens) < len(target):
            check()
            position = len(self.tokens)
            chunk = target[position : position + self._chunk_tokens]
            is_last = position + len(chunk) == len(target)
            self._has_logits = False
            self.evaluated += len(chunk)
            self.reached = max(self.reached, position + len(chunk))
            status = self._native.decode(chunk, position, want_logits=is_last)
            if status == 0:
                self.tokens.extend(chunk)
                self._has_logits = is_last
                continue
            self._repair()
            if status != ABORTED:
                raise GenerationError(
                    "llm-decode-failed",
                    f"llama.cpp gave status {status} for {len(chunk)} tokens at {position}",
                    "if it happens again, choose a smaller llm.n_ctx or another model",
                )
            # A token of an earlier call can still set the switch while it is being cancelled. Clear
            # first: a token that is cancelled from here on sets it again.
            self._native.abort.clear()
            check()

    def checkpoint(self) -> None:
        """Remember this place, if the model cannot be rolled back, to come back to it later.

        A saved copy of a hybrid model's state costs megabytes and about a millisecond; starting
        over costs a whole prompt. One is kept: where the next user message opens.
        """
        if self._native.is_recurrent and self.tokens:
            self._saved = (list(self.tokens), self._native.save())

    def forget(self) -> None:
        """Hold nothing any more, and overwrite what was held: a cut only marks it as free."""
        self._native.clear()
        self.tokens, self._has_logits = [], False
        self._saved = ([], None)

    def state(self) -> memoryview:
        """A copy of what is held, as bytes, for `adopt` in another process."""
        return memoryview(self._native.save()).cast("B")

    def adopt(self, tokens: Sequence[int], state: bytearray) -> bool:
        """Hold the state that another process had behind `tokens`; only where nothing is held yet.

        Args:
            tokens: what `state` was made of.
            state: from `state`, of the same model, build and kind of context; its bytes must have
                been checked: native code trusts them.

        Returns:
            False where llama.cpp refuses; then nothing is held, as before.
        """
        if self._native.restore(state) and self._native.cut(len(tokens)):
            self.tokens, self._has_logits = list(tokens), False
            self._adopted += len(tokens)
            self.reached = max(self.reached, len(tokens))
            return True
        self._native.clear()
        return False

    def _repair(self) -> None:
        """Make native memory and `tokens` agree after a native call that did not end well."""
        if self._native.is_recurrent:  # its state was overwritten half-way
            self._return_to(self.tokens)
        else:
            self._keep(len(self.tokens))

    def _keep(self, count: int) -> None:
        self._has_logits = False
        if self._native.cut(count):
            del self.tokens[count:]
        else:
            self._return_to(self.tokens[:count])

    def _return_to(self, wanted: list[int]) -> None:
        """Hold the saved state if it is a beginning of `wanted`, else nothing."""
        saved, state = self._saved
        if saved and wanted[: len(saved)] == saved and self._native.restore(state):
            self.tokens = list(saved)
        else:
            self._native.clear()
            self.tokens = []
