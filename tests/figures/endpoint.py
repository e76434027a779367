"""What tells the end of a turn from a pause inside it, and the weights that follow from it.

`python -m tests.figures.endpoint [CUES.json [FOLDER]]` plays recordings of people to the engines of
the starter pack up to a point: their true end, or an inner pause. It prints how well each cue tells
the two apart, `turns.end_weights`, fitted by logistic regression and cross-validated by speaker,
and what a choice of `turns.end_range` costs. CUES.json keeps the cues, so that they need not be
taken again. FOLDER gets four manifests, each with one part of the requests, and what was fitted on
the other three: for `bench --speech FOLDER/part-1.jsonl`, which then plays no request that the
weights have seen.

An inner pause is a natural one where there is one of 0.2 s, else the quietest place of the middle
of the clip, where the speaker did not pause: the harder case of the two.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.bench.clips import Clip, load_manifest
from edge_assistant.bench.scenarios.pauses import boundary_frames
from edge_assistant.bench.sounds import room_tone
from edge_assistant.cancel import CancelToken
from edge_assistant.config import load_profile
from edge_assistant.llm.prompt import SENTENCE_ENDS
from edge_assistant.llm.protocol import Message
from edge_assistant.pipeline.loading import Engines, load_engines
from edge_assistant.store.store import Store
from edge_assistant.turns.grants import HEARD_OUT_MS
from edge_assistant.turns.settings import Settings
from edge_assistant.vad.dip import DIP_MS
from tests.figures.prosody import Prosody, prosody
from tests.figures.recordings import speech_folder

KINDS: Final = ("command", "read")
PAUSE_MS: Final = 32
"""After so much silence the floor notices a pause; the words are looked at after `DIP_MS`."""
PREROLL_MS: Final = 300
FOLDS: Final = 5
SHUFFLES: Final = 10
"""Ways of parting the speakers over which what was held out is averaged."""
PARTS: Final = 4
RANGES: Final = ((0.59, 0.78), (0.70, 0.80), (0.75, 0.85), (0.75, 0.90), (0.80, 0.90))
MADE_READY_S: Final = 0.13
"""From the decision to the first sound, when it is taken as soon as it can be: measured."""
RIDGE: Final = 1.0
"""Strength of the pull towards 0; two or three weights of 400 points hardly need any."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cues:
    """One place where somebody fell silent, and what is heard there."""

    clip: str
    kind: str
    speaker: str
    is_end: bool
    text: str
    by_sound: float
    by_words: float
    prosody: list[float]
    """The fields of `Prosody`, in order."""


def places(clip: Clip) -> list[tuple[int, bool]]:
    """(frame, whether the turn ends there)."""
    found = [(clip.speech_frames[-1][1], True)]
    pauses = [
        first[1]
        for first, second in zip(clip.speech_frames, clip.speech_frames[1:], strict=False)
        if second[0] - first[1] >= SAMPLE_RATE // 5
    ]
    if pauses:
        return found + [(frame, False) for frame in pauses]
    gap = boundary_frames(clip)
    return found if gap is None else [*found, (gap[0], False)]


def up_to(clip: Clip, frame: int, *, is_end: bool) -> Samples:
    """What has been heard when a pause is noticed there."""
    first = max(0, clip.speech_frames[0][0] - frames_of_ms(PREROLL_MS))
    count = frames_of_ms(PAUSE_MS)
    own = clip.sound[frame : frame + count]
    silence = own if is_end and len(own) == count else room_tone(count, 0, -72.0)
    return np.concatenate([clip.sound[first:frame], silence])


def collect(clips: Sequence[Clip], engines: Engines, system_prompt: str) -> list[Cues]:
    assert engines.turn_detector is not None
    system = Message(role="system", content=system_prompt)
    found = []
    for number, clip in enumerate(clips):
        print(f"\r{number}/{len(clips)}", end="", file=sys.stderr)
        for frame, is_end in places(clip):
            audio, token = up_to(clip, frame, is_end=is_end), CancelToken()
            dipped = audio[: len(audio) - frames_of_ms(PAUSE_MS - DIP_MS)]
            pad = np.zeros(frames_of_ms(HEARD_OUT_MS), dtype=np.float32)
            heard = np.concatenate([dipped, pad])
            text = engines.recognizer.transcribe(heard, token).text.strip()
            if not text:
                continue
            asked = (system, Message(role="user", content=text))
            found.append(
                Cues(
                    clip=clip.name,
                    kind=clip.kind,
                    speaker=clip.speaker or clip.name,
                    is_end=is_end,
                    text=text,
                    by_sound=engines.turn_detector.end_probability(audio, token),
                    by_words=engines.llm.end_probability(asked, token),
                    prosody=[float(value) for value in prosody(audio).values()],
                )
            )
    return found


def log_odds(probability: Values) -> Values:
    clipped = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(clipped / (1.0 - clipped)))


def fit(cues: Values, is_end: Values) -> Values:
    """Bias and weights of a logistic regression, by Newton's method."""
    design = np.column_stack([np.ones(len(cues)), cues])
    weights = np.zeros(design.shape[1])
    pull = np.diag([0.0, *[RIDGE] * cues.shape[1]])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-design @ weights))
        gradient = design.T @ (is_end - p) - pull @ weights
        curvature = (design.T * (p * (1.0 - p))) @ design + pull
        weights = weights + np.linalg.solve(curvature, gradient)
    return weights


def predicted(cues: Values, weights: Values) -> Values:
    return np.asarray(1.0 / (1.0 + np.exp(-(weights[0] + cues @ weights[1:]))))


def held_out(cues: Values, is_end: Values, speakers: Sequence[str], seed: int = 0) -> Values:
    """Each place judged by weights that never saw its speaker."""
    names = sorted(set(speakers))
    np.random.default_rng(seed).shuffle(names)
    fold_of = {name: index % FOLDS for index, name in enumerate(names)}
    folds = np.array([fold_of[speaker] for speaker in speakers])
    found = np.zeros(len(is_end))
    for fold in range(FOLDS):
        inside = folds != fold
        found[~inside] = predicted(cues[~inside], fit(cues[inside], is_end[inside]))
    return found


def design(found: Sequence[Cues]) -> tuple[Values, Values, list[str]]:
    """What the product judges by: cues, whether the turn ended there, and the speakers."""
    is_open = np.array([float(not cue.text.endswith(SENTENCE_ENDS)) for cue in found])
    cues = [
        log_odds(np.array([cue.by_sound for cue in found])) * is_open,
        log_odds(np.array([cue.by_words for cue in found])),
        is_open,
    ]
    is_end = np.array([float(cue.is_end) for cue in found])
    return np.column_stack(cues), is_end, [cue.speaker for cue in found]


def tell_fit(name: str, found: Sequence[Cues]) -> str:
    cues, is_end, speakers = design(found)
    held = [auc(held_out(cues, is_end, speakers, seed), is_end) for seed in range(SHUFFLES)]
    weights = fit(cues, is_end)
    setting = f"turns.end_weights=[{', '.join(f'{each:.2f}' for each in weights)}]"
    print(f"{name}: AUC {np.mean(held):.3f} held out; {setting}")
    return f"--set '{setting}'"


def tell_ranges(found: Sequence[Cues]) -> None:
    """What each `turns.end_range` costs in time, and in pauses that are answered; by weights that
    never saw the speaker."""
    cues, is_end, speakers = design(found)
    held = np.concatenate([held_out(cues, is_end, speakers, seed) for seed in range(SHUFFLES)])
    ends = np.tile(is_end, SHUFFLES) == 1
    rules = Settings()
    for unsure, sure in RANGES:
        share = np.clip((held - unsure) / (sure - unsure), 0.0, 1.0)
        wait_ms = rules.max_wait_ms - share * (rules.max_wait_ms - rules.min_wait_ms)
        sounds_s = wait_ms / 1000.0 + MADE_READY_S
        p50, p90 = np.quantile(sounds_s[ends], (0.5, 0.9))
        taken = ", ".join(f"{(sounds_s[~ends] < each).mean():.0%}" for each in (0.7, 1.0))
        print(
            f"end_range [{unsure:.2f}, {sure:.2f}]: p50 {p50:.2f} s, p90 {p90:.2f} s; pauses"
            f" of 0.7 and 1.0 s answered: {taken}"
        )


def write_parts(found: Sequence[Cues], folder: Path) -> None:
    """Manifests; each leaves out the requests that its weights were fitted on."""
    speech = speech_folder()
    assert speech is not None
    folder.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in (speech / "manifest.jsonl").read_text().splitlines()]
    names = sorted({cue.speaker for cue in found})
    np.random.default_rng(1).shuffle(names)
    for part in range(1, PARTS + 1):
        unseen = set(names[part - 1 :: PARTS])
        seen = [cue for cue in found if cue.speaker not in unseen]
        left_out = {cue.clip for cue in seen}
        kept = [
            row | {"file": str(speech / row["file"])} for row in rows if row["file"] not in left_out
        ]
        (folder / f"part-{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
        (folder / f"part-{part}.txt").write_text(tell_fit(f"part {part}", seen) + "\n")


def auc(scores: Values, is_end: Values) -> float:
    """Chance that an end has the higher score than a pause."""
    ends, pauses = scores[is_end == 1], scores[is_end == 0]
    wins = (ends[:, None] > pauses[None]).mean() + 0.5 * (ends[:, None] == pauses[None]).mean()
    return float(wins)


def ends_at(scores: Values, is_end: Values, share: float) -> float:
    """Ends above the score that `share` of the pauses exceed."""
    bar = np.quantile(scores[is_end == 0], 1.0 - share)
    return float((scores[is_end == 1] > bar).mean())


def tell(name: str, scores: Values, found: Sequence[Cues], is_end: Values) -> None:
    kinds = np.array([cue.kind for cue in found])
    by_kind = ", ".join(
        f"{kind} {auc(scores[kinds == kind], is_end[kinds == kind]):.2f}" for kind in KINDS
    )
    accepted = ", ".join(f"{ends_at(scores, is_end, share):.2f}" for share in (0.1, 0.2, 0.3))
    print(f"{name:28} AUC {auc(scores, is_end):.3f} ({by_kind}); ends at 10, 20, 30 %: {accepted}")


def main() -> None:
    kept = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if kept is not None and kept.exists():
        found = [Cues(**row) for row in json.loads(kept.read_text())]
    else:
        folder = speech_folder()
        if folder is None:
            raise SystemExit("no recordings: set EDGE_ASSISTANT_SPEECH")
        pool = load_manifest(folder, ())
        clips = [clip for clip in pool.of(*KINDS) if clip.is_clear]
        config = load_profile("starter")
        engines = load_engines(config, Store.default(), lambda error: None)
        found = collect(clips, engines, config.llm.system_prompt)
        engines.close()
        if kept is not None:
            kept.write_text(json.dumps([asdict(cue) for cue in found], indent=0))
    is_end = np.array([float(cue.is_end) for cue in found])
    speakers = [cue.speaker for cue in found]
    sound = log_odds(np.array([cue.by_sound for cue in found]))
    words = log_odds(np.array([cue.by_words for cue in found]))
    print(
        f"{int(is_end.sum())} ends, {int((1 - is_end).sum())} pauses, {len(set(speakers))} speakers"
    )
    tell("sound (turn detector)", sound, found, is_end)
    tell("words (language model)", words, found, is_end)
    requests = [cue for cue in found if cue.kind == "command"]
    tell_fit("requests", requests)
    tell_ranges(requests)
    if len(sys.argv) > 2:
        write_parts(requests, Path(sys.argv[2]))
    melody = np.array([cue.prosody for cue in found])
    centre, spread = melody.mean(axis=0), melody.std(axis=0)
    melody = (melody - centre) / spread
    for field, column in zip(fields(Prosody), melody.T, strict=True):
        tell(field.name, column, found, is_end)
    for name, cues in (
        ("sound, calibrated", sound[:, None]),
        ("words, calibrated", words[:, None]),
        ("both", np.column_stack([sound, words])),
        ("prosody", melody),
        ("all three", np.column_stack([sound, words, melody])),
    ):
        tell(f"{name}, held out", held_out(cues, is_end, speakers), found, is_end)
        weights = ", ".join(f"{weight:.3f}" for weight in fit(cues, is_end))
        print(f"    bias and weights: {weights}")


if __name__ == "__main__":
    main()
