"""Which models go together here, what is refused and why, and which set is best. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from edge_assistant.fit.predict import Cost
from edge_assistant.fit.sizes import Size, SpeechSize
from edge_assistant.store.entry import Kind, ModelEntry

PROGRAM_BYTES: Final = 150_000_000
"""The program with its libraries, and the detectors of speech and turns."""
SLOWEST: Final = 1.0
"""Seconds of computing for a second of speech at which the reply falls silent within."""
COMFORT: Final = 0.7
"""The most that is recommended: recogniser and detectors work at the same time."""
RAM_SHARE: Final = 0.8
"""Of what is free that a recommended set may take: other programs live too."""

STAGES: Final[tuple[Kind, ...]] = ("stt", "llm", "tts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a model or a set cannot be used here, with the number."""

    code: str
    """`ram`, `too-slow`, `disk`, `size-unknown`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Room on this machine."""

    ram_bytes: int
    free_bytes: int
    """Of RAM, for a new process, whatever limits it."""
    disk_free_bytes: int
    """Where models are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One model, with what it would cost here."""

    entry: ModelEntry
    size: Size | None
    ram_bytes: int
    is_installed: bool
    download_bytes: int
    """0 where it is installed; the most that it may be where its size is not known."""
    cost: Cost | None = None
    measured_with: str = ""
    """As `Speed.measured_with`."""
    refusal: Refusal | None = None

    @property
    def quality(self) -> tuple[float, ...]:
        """More is better, within a kind: parameters, made for one language, bits; or the class of a
        voice. A rule of thumb: nobody listened."""
        size = self.size
        if size is None:
            return (0.0,)
        if isinstance(size, SpeechSize):
            return (size.parameters, float(size.rank))
        is_single = len(self.entry.languages) == 1
        return (size.parameters, float(is_single), size.file_bytes)

    def speaks(self, language: str) -> bool:
        """Whether it is for `language`, such as `en`; a file of the user's own is taken for it."""
        codes = {each.partition("-")[0] for each in self.entry.languages}
        return bool(codes & {language, "mul", "und"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A recogniser, a language model and a voice."""

    stt: Candidate
    llm: Candidate
    tts: Candidate
    first_audio_s: float
    """Computing from the end of a request to the first sound of the reply, nothing done ahead."""
    speech_factor: float
    """Seconds of computing for a second of spoken reply; below 1 it keeps talking."""
    ram_bytes: int
    refusal: Refusal | None

    @property
    def ids(self) -> tuple[str, str, str]:
        """Of the three models."""
        return self.stt.entry.id, self.llm.entry.id, self.tts.entry.id

    @property
    def parts(self) -> tuple[Candidate, Candidate, Candidate]:
        """In the order of `STAGES`."""
        return self.stt, self.llm, self.tts


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a profile wants."""

    first_audio_s: float
    """As `Combination.first_audio_s`, at most."""
    pack: str = ""
    """Only models of this pack."""


RULES: Final = {
    "starter": Rule(first_audio_s=1.0, pack="starter"),
    "desktop": Rule(first_audio_s=0.7),
    "kiosk": Rule(first_audio_s=0.7),
    "pi": Rule(first_audio_s=1.0),
}
"""By profile. The draft that is made while the user pauses hides a part of it, 0.2 s and more."""

SHARES: Final = (0.4, 0.45, 0.15)
"""Of the time until the first audio that recogniser, model and voice may take at most, so that none
of them leaves nothing to the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The set to take."""

    best: Combination | None
    """None: nothing fits."""
    because: str


def refuse(candidate: Candidate, memory: Memory) -> Refusal | None:
    """Why this model cannot be used here whatever goes with it; None if it can."""
    if candidate.size is None or candidate.cost is None:
        return Refusal(
            code="size-unknown", reason="nobody knows how large it is: name it so that it shows"
        )
    needed = candidate.ram_bytes + PROGRAM_BYTES
    if needed > memory.free_bytes:
        return _too_large(needed, memory)
    if candidate.download_bytes > memory.disk_free_bytes:
        return Refusal(
            code="disk",
            reason=f"up to {gb(candidate.download_bytes)} to fetch, "
            f"{gb(memory.disk_free_bytes)} are free on the disk",
        )
    if candidate.cost.per_speech_s >= SLOWEST:
        return _too_slow(candidate.cost.per_speech_s)
    return None


def combine(candidates: Sequence[Candidate], memory: Memory, language: str) -> list[Combination]:
    """All sets of models that are not refused and are for `language`, quickest first."""
    usable: dict[Kind, list[Candidate]] = {kind: [] for kind in STAGES}
    for each in candidates:
        if each.refusal is None and each.entry.kind in usable and each.speaks(language):
            usable[each.entry.kind].append(each)
    found = [
        _combination(stt, llm, tts, memory)
        for stt in usable["stt"]
        for llm in usable["llm"]
        for tts in usable["tts"]
    ]
    return sorted(found, key=lambda each: (each.refusal is not None, each.first_audio_s))


def recommend(
    combinations: Iterable[Combination], memory: Memory, profile: str, usual: Sequence[str]
) -> Recommendation:
    """The best set for a profile.

    Of the sets that keep to the rule, the one with the best model, then recogniser, then voice; of
    equals the one that the profile names, then one that is installed. Where none keeps to the rule,
    the quickest.

    Args:
        combinations: of `combine`.
        memory: of the machine.
        profile: a key of `RULES`.
        usual: ids that the profile names.
    """
    rule = RULES[profile]
    fitting = [
        each
        for each in combinations
        if each.refusal is None
        and all(not rule.pack or rule.pack in part.entry.packs for part in each.parts)
    ]
    if not fitting:
        return Recommendation(best=None, because="nothing fits")
    good = [each for each in fitting if _keeps(each, rule, memory)]
    limits = (
        f"first audio within {rule.first_audio_s:g} s (of it {SHARES[0]:.0%} for the recogniser, "
        f"{SHARES[1]:.0%} for the model, {SHARES[2]:.0%} for the voice), at most {COMFORT:g} s of "
        f"computing for a second of speech, at most {RAM_SHARE:.0%} of the free memory"
    )
    if not good:
        quickest = min(fitting, key=lambda each: each.first_audio_s)
        return Recommendation(best=quickest, because=f"the quickest; none keeps to: {limits}")

    def worth(each: Combination) -> tuple[object, ...]:
        qualities = (each.llm.quality, each.stt.quality, each.tts.quality)
        is_usual = sum(part.entry.id in usual for part in each.parts)
        is_there = sum(part.is_installed for part in each.parts)
        return (*qualities, is_usual, is_there, -each.first_audio_s)

    best = max(good, key=worth)
    return Recommendation(best=best, because=f"the largest model, then recogniser, with {limits}")


def gb(size_bytes: float) -> str:
    """Bytes for people."""
    return f"{size_bytes / 1e9:.2f} GB"


def _combination(stt: Candidate, llm: Candidate, tts: Candidate, memory: Memory) -> Combination:
    costs = [each.cost for each in (stt, llm, tts) if each.cost is not None]
    factor = sum(each.per_speech_s for each in costs)
    ram_bytes = stt.ram_bytes + llm.ram_bytes + tts.ram_bytes + PROGRAM_BYTES
    refusal = None
    if ram_bytes > memory.free_bytes:
        refusal = _too_large(ram_bytes, memory)
    elif factor >= SLOWEST:
        refusal = _too_slow(factor)
    return Combination(
        stt=stt,
        llm=llm,
        tts=tts,
        first_audio_s=sum(each.first_s for each in costs),
        speech_factor=factor,
        ram_bytes=ram_bytes,
        refusal=refusal,
    )


def _keeps(each: Combination, rule: Rule, memory: Memory) -> bool:
    shares = zip(each.parts, SHARES, strict=True)
    return (
        all(
            part.cost is not None and part.cost.first_s <= share * rule.first_audio_s
            for part, share in shares
        )
        and each.speech_factor <= COMFORT
        and each.ram_bytes <= RAM_SHARE * memory.free_bytes
    )


def _too_large(needed: int, memory: Memory) -> Refusal:
    return Refusal(
        code="ram",
        reason=f"needs {gb(needed)} of memory, {gb(memory.free_bytes)} are free "
        f"of {gb(memory.ram_bytes)}",
    )


def _too_slow(factor: float) -> Refusal:
    return Refusal(
        code="too-slow", reason=f"takes {factor:.1f} s of computing for a second of speech"
    )
