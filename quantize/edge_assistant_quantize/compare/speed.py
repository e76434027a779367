"""Load time, memory and speed of one model in one round: the probes of the bench of engines."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.llm import REPLY_TOKENS, LlmProbe
from edge_assistant.engine_bench.probe import Probe, Sheet
from edge_assistant.engine_bench.readings import Round
from edge_assistant.engine_bench.speech import Clip, Speech, recorded
from edge_assistant.engine_bench.stt import SttProbe
from edge_assistant.engine_bench.tts import TtsProbe
from edge_assistant.llm.settings import SYSTEM_PROMPT
from edge_assistant.stt.protocol import Recognizer, Transcript
from edge_assistant_quantize.compare import engines, memory
from edge_assistant_quantize.compare.messages import Answer, Order


class Noting:
    """A recogniser whose transcripts are kept in their order; see `Recognizer`."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.texts: list[str] = []

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        """As the recogniser's own."""
        transcript = self._recognizer.transcribe(audio, token)
        self.texts.append(transcript.text)
        return transcript

    def close(self) -> None:
        """As the recogniser's own."""
        self._recognizer.close()


def measured(order: Order) -> Answer:
    """Load the model, call it once, measure it.

    Raises:
        EdgeAssistantError: it cannot be loaded, or failed.
    """
    candidate, token = order.candidate, CancelToken()
    engines.import_library(candidate.engine)
    clips = tuple(recorded(Path(order.clips))) if order.clips else ()
    answer = Answer(round=Round(index=order.index), base_rss_bytes=memory.now_bytes())
    sheet = Sheet(round=answer.round, stage=candidate.kind, model=candidate.label)
    began_s = time.perf_counter()
    probe, notes = _loaded(order, clips)
    loaded_s = time.perf_counter()
    try:
        probe.first_call(token)
        sheet.put("load_s", loaded_s - began_s)
        sheet.put("first_call_s", time.perf_counter() - loaded_s)
        if notes is not None:
            # Moonshine guesses the words of a sound that begins as the one before it did.
            notes.transcribe(np.zeros(SAMPLE_RATE // 2, dtype=np.float32), token)
            notes.texts.clear()
        probe.measure(sheet, token)
    finally:
        probe.close()
    if notes is not None:
        names = [heard.clip for heard in answer.round.heard]
        answer.heard = dict(zip(names, notes.texts, strict=True))
    answer.peak_rss_bytes = memory.peak_bytes()
    return answer


def _loaded(order: Order, clips: tuple[Clip, ...]) -> tuple[Probe, Noting | None]:
    candidate, threads = order.candidate, order.threads
    match candidate.kind:
        case "llm":
            limits = {"max_tokens": REPLY_TOKENS, "wrap_up_tokens": REPLY_TOKENS}
            model = engines.language_model(candidate, threads, **limits)
            return LlmProbe(model, SYSTEM_PROMPT), None
        case "stt":
            notes = Noting(engines.recognizer(candidate, threads))
            return SttProbe(notes, Speech(clips=clips, repeats=1)), notes
        case "tts":
            return TtsProbe(engines.voice(candidate, threads)), None
