"""Which model to take: a rule that is said in words, and what it makes of each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge_assistant_quantize.compare.messages import Subject
from edge_assistant_quantize.compare.numbers import number
from edge_assistant_quantize.compare.results import Line, Recommendation, Value, Verdict, find

MOST_KL: Final = 0.1
"""Nats a token. One predicts the other's next token e^0.1 = 1.1 times worse than itself."""
MOST_BITS: Final = 0.02
"""Bits a byte: about 6 % more perplexity a token, at four to five bytes a token."""
MOST_TASKS: Final = 2
"""Of twelve: the likeliest token of a small model turns on less than its quality."""
MOST_WER: Final = 0.01
MOST_DB: Final = 2.0
"""Beyond what the reference differs from itself."""
LEAST_SPEED: Final = 0.9
"""Of the reference's."""
SAME_SIZE: Final = 0.001
NO_KL: Final = 1e-6

SPEED: Final[dict[Subject, str]] = {"llm": "decode_rate", "stt": "rtf", "tts": "rtf"}
LOSS: Final[dict[Subject, tuple[str, ...]]] = {
    "llm": ("kl", "bits_per_byte"),
    "stt": ("wer_mean",),
    "tts": ("mel_distance",),
}
"""Figures of quality for the plot and the front; less is better."""

RULES: Final[dict[Subject, str]] = {
    "llm": "Of the models whose KL divergence from {reference} is at most {kl} nats a token (where "
    "they share its tokens), that need at most {bits} bits more for a byte of the text, pass at "
    "most {tasks} tasks fewer, and are at least {speed} as fast, take the one with the smallest "
    "file.",
    "stt": "Of the recognisers that, in every kind of speech, get at most {wer} of the words more "
    "wrong than {reference}, and are at least {speed} as fast, take the one with the smallest "
    "files.",
    "tts": "Of the voices whose log-mel distance from {reference} is at most {db} more than its "
    "own when it says the same again, and that are at least {speed} as fast, take the one with the "
    "smallest files.",
}
FAST: Final = "As fast counts by the better end of the 95 % interval, where there is one."
FRONT: Final = (
    "On the front is a model beside which no other is at least as good in size, speed and quality "
    "and better in one of them."
)


def recommend(
    kind: Subject, labels: Sequence[str], lines: list[Line], same: frozenset[str] = frozenset()
) -> Recommendation:
    """Apply the rule.

    Args:
        kind: of the models.
        labels: of the models that were measured to the end, the reference first.
        lines: all figures.
        same: labels whose quality was not told from the reference's by anything.
    """
    first = labels[0]
    sizes = {label: _value(find(lines, "size_bytes"), label) or 0.0 for label in labels}
    beyond = {label: _beyond(kind, label, first, lines) for label in labels}
    equal = [
        label
        for label in labels[1:]
        if label in same and abs(sizes[label] - sizes[first]) <= SAME_SIZE * sizes[first]
    ]
    within = [label for label in labels if not beyond[label] and label not in equal]
    pick = min(within, key=lambda label: (sizes[label], labels.index(label)))
    on_front = front(kind, labels, lines)
    return Recommendation(
        pick=pick,
        headline=_headline(pick, labels, equal, lines),
        rule=_rule(kind, first),
        verdicts=[
            Verdict(
                label=label,
                text=_verdict(label, first, label == pick, label in equal, beyond[label], lines),
                is_within=not beyond[label],
                is_on_front=label in on_front,
            )
            for label in labels
        ],
    )


def front(kind: Subject, labels: Sequence[str], lines: list[Line]) -> frozenset[str]:
    """Models that no other beats in size, speed and quality together (Pareto)."""
    lost = loss(kind, labels, lines)
    points = {
        label: costs for label in labels if (costs := _costs(kind, label, lines, lost)) is not None
    }
    return frozenset(
        label
        for label, mine in points.items()
        if not any(
            all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine
            for other in points.values()
        )
    )


def loss(kind: Subject, labels: Sequence[str], lines: list[Line]) -> Line | None:
    """The figure of quality: the first that all of them have."""
    found = [line for key in LOSS[kind] if (line := find(lines, key)) is not None]
    whole = [line for line in found if all(label in line.values for label in labels)]
    return next(iter(whole or found[::-1]), None)


def _costs(
    kind: Subject, label: str, lines: list[Line], lost: Line | None
) -> tuple[float, float, float] | None:
    """Size, time and loss: less is better in all."""
    speed = find(lines, SPEED[kind])
    size, rate = _value(find(lines, "size_bytes"), label), _value(speed, label)
    most = _value(lost, label)
    if speed is None or size is None or rate is None or most is None:
        return None
    return size, (-rate if speed.better == "more" else rate), most


def slowness(kind: Subject, label: str, lines: list[Line]) -> tuple[float, float] | None:
    """Time beside the reference's, 2 is twice as slow; and the least that the interval allows."""
    line = find(lines, SPEED[kind])
    ratio = _entry(line, label)
    if line is None or ratio is None or not ratio.versus:
        return None
    if line.better == "more":
        return 1.0 / ratio.versus, 1.0 / (ratio.versus_high or ratio.versus)
    return ratio.versus, ratio.versus_low or ratio.versus


def _beyond(kind: Subject, label: str, first: str, lines: list[Line]) -> list[str]:
    """Limits that a model breaks."""
    if label == first:
        return []
    found = []
    speed = slowness(kind, label, lines)
    if speed is None:
        found.append("its speed could not be measured")
    elif speed[1] > 1.0 / LEAST_SPEED:
        found.append(f"{speed[0]:.2f} times as slow")
    return found + {"llm": _beyond_llm, "stt": _beyond_stt, "tts": _beyond_tts}[kind](
        label, first, lines
    )


def _beyond_llm(label: str, first: str, lines: list[Line]) -> list[str]:
    del first
    found = []
    kl = _value(find(lines, "kl"), label)
    bits, tasks = _entry(find(lines, "bits_per_byte"), label), _entry(find(lines, "tasks"), label)
    if kl is not None and kl > MOST_KL:
        found.append(f"KL divergence {number(kl, 'nats')}")
    if bits is None or bits.versus is None:
        found.append("the text could not be read")
    elif bits.versus > MOST_BITS:
        found.append(f"{number(bits.versus, 'bits')} a byte more")
    if tasks is not None and tasks.versus is not None and tasks.versus < -MOST_TASKS:
        found.append(f"{-tasks.versus:.0f} tasks fewer")
    return found


def _beyond_stt(label: str, first: str, lines: list[Line]) -> list[str]:
    del first
    kinds = [line for line in lines if line.key.startswith("wer[")]
    return [
        f"{number(each.versus, 'share')} more {line.title.replace(', ', ' (')})"
        for line in kinds
        if (each := line.values.get(label)) and each.versus is not None and each.versus > MOST_WER
    ]


def _beyond_tts(label: str, first: str, lines: list[Line]) -> list[str]:
    line = find(lines, "mel_distance")
    mine, own = _value(line, label), _value(line, first)
    if mine is None or own is None:
        return ["its sound could not be measured"]
    if mine - own > MOST_DB:
        return [f"{number(mine, 'dB')} away, the reference {number(own, 'dB')} from itself"]
    return []


def _rule(kind: Subject, first: str) -> str:
    rule = RULES[kind].format(
        reference=first,
        kl=MOST_KL,
        bits=MOST_BITS,
        tasks=MOST_TASKS,
        wer=number(MOST_WER, "share"),
        db=number(MOST_DB, "dB"),
        speed=f"{LEAST_SPEED:.0%}".replace("%", " %"),
    )
    return f"{rule} {FAST}"


def _headline(pick: str, labels: Sequence[str], equal: Sequence[str], lines: list[Line]) -> str:
    first = labels[0]
    if equal and len(equal) == len(labels) - 1:
        others = ", ".join(equal)
        return f"No difference: {others} and {first} have one size and one quality. Keep {first}."
    if pick == first:
        return f"Keep {first}: no other is smaller and within the limits."
    return f"Take {pick}: {_beside(pick, lines)}."


def _verdict(
    label: str, first: str, is_pick: bool, is_equal: bool, beyond: list[str], lines: list[Line]
) -> str:
    if label == first:
        return "the reference" + (", and the choice" if is_pick else "")
    if is_equal:
        return f"no difference from {first}"
    if beyond:
        return f"beyond the limits: {'; '.join(beyond)}"
    return f"{'the choice' if is_pick else 'within the limits'}: {_beside(label, lines)}"


def _beside(label: str, lines: list[Line]) -> str:
    """Size and speed in words."""
    told = []
    size = _entry(find(lines, "size_bytes"), label)
    if size is not None and size.versus is not None:
        change = size.versus - 1.0
        if abs(change) <= SAME_SIZE:
            told.append("as large")
        else:
            told.append(f"{abs(change) * 100:.3g} % {'smaller' if change < 0 else 'larger'}")
    speed = find(lines, "decode_rate", "rtf")
    ratio = _entry(speed, label)
    if speed is not None and ratio is not None and ratio.versus:
        faster = ratio.versus if speed.better == "more" else 1.0 / ratio.versus
        told.append(f"{faster:.2f} times as fast")
    return ", ".join(told) or "not measured"


def _entry(line: Line | None, label: str) -> Value | None:
    return line.values.get(label) if line is not None else None


def _value(line: Line | None, label: str) -> float | None:
    entry = _entry(line, label)
    return entry.value if entry is not None else None
