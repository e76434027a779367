"""How long a model takes on a machine: a small model of engines, pure. docs/workshop/fit.md.

| engine | what it does | time |
|---|---|---|
| llamacpp | a token of the reply | bytes of the file / read rate |
| llamacpp | a prompt of n tokens | one token, and 2 x body parameters x (n - 1) / FLOP rate |
| whispercpp | an utterance | encoder FLOPs / FLOP rate, and tokens x decoder bytes / read rate |
| moonshine, piper, espeak | a second of sound | the work of its class / FLOP rate |

The rates are those at which the engine worked on an installed model (`calibrated`), so that they
hold its kernels and threads and what the machine has left; or, where nothing of it is installed,
shares of what numpy reached (`estimated`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_assistant.fit.sizes import LlmSize, Size, SpeechSize, WhisperSize
from edge_assistant.store.entry import Engine
from edge_assistant.stt.whispercpp import audio_ctx

UTTERANCE_S: Final = 2.5
"""Of a request, as recorded people and the made speech of the bench speak it."""
UTTERANCE_TOKENS: Final = 12
"""That Whisper writes for it: about 4 a second, and 2 of its own."""
TAIL_TOKENS: Final = 13
"""Of a prompt that are new in a turn: the user's words and the marks of the chat template."""
CLAUSE_TOKENS: Final = 8
"""Until the first clause is known to be complete: it is cut behind 5 words or so, and the word that
follows shows that the last of them has ended."""
TOKENS_PER_SPEECH_S: Final = 3.5
"""Tokens of English that fill a second of speech."""

MIN_SHARE: Final = 0.05
"""Of a measured prompt that is taken for arithmetic at least, however noisy the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a class of speech models asks for, in operations at the rate of numpy's float32 matrix
    product on one core: not what is in its graph, but what takes as long."""

    per_s: float
    """For a second of sound."""
    first: float = 0.0
    """Until the first sound of a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """At what rates an engine works on this machine."""

    flops: float
    """Operations per second; of llamacpp for a model of the format Q4_0."""
    read_bytes_s: float = 0.0
    """Bytes of weights per second; llamacpp and whispercpp, as `flops`."""
    first_flops: float = 0.0
    """As `flops`, until the first sound; voices."""
    measured_with: str = ""
    """The installed model; empty where it is an estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one model adds to a turn."""

    first_s: float
    """To the first audio: the final transcript, the first clause, or the first sound."""
    per_speech_s: float
    """Seconds of computing for each second that the reply is spoken; 0 for a recogniser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What numpy reached on the cores that may be used."""

    bandwidth_bytes_s: float
    """Read from memory by all of them together."""
    flops: float
    """Float32 matrix product, all of them together."""
    flops_per_core: float


WORK: Final[Mapping[str, Work]] = {
    "moonshine-tiny": Work(per_s=2.2e9),
    "moonshine-base": Work(per_s=5.1e9),
    "espeak": Work(per_s=9.0e7, first=3.2e8),
    "piper-x_low": Work(per_s=2.4e9, first=1.9e9),
    "piper-low": Work(per_s=2.8e9, first=4.1e9),
    "piper-medium": Work(per_s=3.7e9, first=4.1e9),
    "piper-high": Work(per_s=2.75e10, first=3.0e10),
}
"""By speech class. Piper medium: a real-time factor of 0.040 on one core of a quiet EPYC at 93
GFLOP/s; the other voices in proportion to it as `python -m tests.figures.fit_work` found them, on
random weights, while other programs ran. Moonshine tiny and espeak: as `edge-assistant fit` read
them there at 99 GFLOP/s; Moonshine base by its parameters."""

LLM_READ_SHARE: Final = 0.4
LLM_FLOPS_SHARE: Final = 1.2
"""What llama.cpp makes of numpy's rates in the format Q4_0, on two cores of that EPYC: about 18
GB/s of 33 to 60, and 215 to 290 GFLOP/s (eight-bit integers, in truth) of 205."""
WHISPER_FLOPS_SHARE: Final = 0.4
"""Of llama.cpp's, for whisper.cpp's encoder: 104 to 116 GFLOP/s were measured there."""


def cost(size: Size, speed: Speed) -> Cost:
    """What a model of this size costs at these rates."""
    match size:
        case LlmSize():
            each_s = token_s(size, speed)
            first_s = prompt_s(size, speed, TAIL_TOKENS) + (CLAUSE_TOKENS - 1) * each_s
            return Cost(first_s=first_s, per_speech_s=TOKENS_PER_SPEECH_S * each_s)
        case WhisperSize():
            return Cost(first_s=utterance_s(size, speed), per_speech_s=0.0)
        case SpeechSize(speech_class=name, parameters=parameters) if parameters:
            return Cost(first_s=UTTERANCE_S * WORK[name].per_s / speed.flops, per_speech_s=0.0)
        case SpeechSize(speech_class=name):
            work = WORK[name]
            first_s = work.first / (speed.first_flops or speed.flops)
            return Cost(first_s=first_s, per_speech_s=work.per_s / speed.flops)


def token_s(size: LlmSize, speed: Speed) -> float:
    """A token of the reply: every weight is read once."""
    return size.file_bytes / (speed.read_bytes_s * size.read_factor)


def prompt_s(size: LlmSize, speed: Speed, tokens: int) -> float:
    """A prompt: the weights are read once for all of it, and each token is multiplied with them.

    The first token's arithmetic hides behind the reading. Checked once with SmolLM2-135M on two
    cores: 6.2 ms for 1 token, 22.6 for 8, 143 for 64, 280 for 128; this gives 6.2, 22, 145, 286.
    """
    return token_s(size, speed) + (tokens - 1) * 2 * size.body / (speed.flops * size.flops_factor)


def utterance_s(size: WhisperSize, speed: Speed) -> float:
    """The final transcript of an utterance of `UTTERANCE_S`."""
    encoder_s = size.encoder_flops(audio_ctx(UTTERANCE_S)) / speed.flops
    return encoder_s + UTTERANCE_TOKENS * size.decoder_bytes / speed.read_bytes_s


def calibrated_llm(
    size: LlmSize, *, tokens_s: float, prompt_tokens: int, prefill_tokens_s: float, model: str
) -> Speed:
    """The rates of llama.cpp from how fast it ran one model.

    Args:
        size: of that model.
        tokens_s: tokens of a reply per second.
        prompt_tokens: of a prompt of some length.
        prefill_tokens_s: at which it was evaluated.
        model: what to call it.
    """
    prompt_took_s = prompt_tokens / prefill_tokens_s
    arithmetic_s = max(prompt_took_s - 1 / tokens_s, MIN_SHARE * prompt_took_s)
    return Speed(
        flops=2 * size.body * (prompt_tokens - 1) / arithmetic_s / size.flops_factor,
        read_bytes_s=size.file_bytes * tokens_s / size.read_factor,
        measured_with=model,
    )


def calibrated(size: WhisperSize | SpeechSize, like: Speed, measured: Cost, *, model: str) -> Speed:
    """`like`, made faster or slower so that it explains what one model of the engine took.

    Args:
        size: of that model.
        like: rates in about the right proportion.
        measured: what it took; of a voice both values, of a recogniser the first.
        model: what to call it.
    """
    expected = cost(size, like)
    first = expected.first_s / measured.first_s
    is_voice = measured.per_speech_s > 0
    steady = expected.per_speech_s / measured.per_speech_s if is_voice else first
    return Speed(
        flops=like.flops * steady,
        read_bytes_s=like.read_bytes_s * steady,
        first_flops=(like.first_flops or like.flops) * first if is_voice else 0.0,
        measured_with=model,
    )


def estimated(engine: Engine, hardware: Hardware, llm: Speed | None = None) -> Speed:
    """Rates of an engine of which nothing is installed.

    Args:
        engine: which.
        hardware: what numpy reached.
        llm: of llama.cpp, if that was measured: whisper.cpp has its kernels, but in floats.
    """
    match engine:
        case "whispercpp" if llm is not None:
            flops = WHISPER_FLOPS_SHARE * llm.flops
            return Speed(flops=flops, read_bytes_s=llm.read_bytes_s)
        case "whispercpp":
            return estimated(engine, hardware, estimated("llamacpp", hardware))
        case "llamacpp":
            return Speed(
                flops=LLM_FLOPS_SHARE * hardware.flops,
                read_bytes_s=LLM_READ_SHARE * hardware.bandwidth_bytes_s,
            )
        case _:
            return Speed(flops=hardware.flops_per_core)
