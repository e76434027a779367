"""How far off `edge-assistant fit` is: predicted and measured first audio of every set that runs.

`python -m tests.figures.fit [ROUNDS] [--cpu]`, on a quiet machine with the starter pack; with
`--cpu` on one core and in CPU seconds throughout, which stands other programs beside it. Needs the
extra `quantize`. SmolLM2 is quantised anew to other types, and one is made twice as deep
by having its layers twice (it talks nonsense, at the speed of a model of that size). Each goes into
a store of its own by `models add`. Then:

1. fit measures the starter pack as it does for anybody (made speech, bench of engines), and
   predicts every set;
2. every set answers recorded requests, engines in turn as in a conversation: final transcript,
   reply up to its first clause, first sound; the median of the sums is held against the prediction;
3. each model takes the place of the starter's in 1, and predicts all the others.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import llama_cpp

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.cli import process
from edge_assistant.config import Config, load_profile
from edge_assistant.engine_bench.speech import Clip
from edge_assistant.fit import machine as machines
from edge_assistant.fit.choose import Candidate
from edge_assistant.fit.measure import as_in_a_turn, readings, speed_of, utterances
from edge_assistant.fit.predict import Cost, Speed, cost, estimated
from edge_assistant.fit.report import candidate_of
from edge_assistant.fit.sizes import LlmSize
from edge_assistant.llm.protocol import LanguageModel, Message
from edge_assistant.llm.sentences import SentenceSplitter
from edge_assistant.pipeline.engines import build_llm, build_recognizer, build_voice
from edge_assistant.pipeline.warm import speech_like_noise
from edge_assistant.store.store import Store, default_root
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.tts.normalise import speakable
from edge_assistant.tts.protocol import Voice
from tests.figures.fit_work import on_one_core_in_cpu_seconds
from tests.figures.recordings import recordings, speech_folder

STARTER = "smollm2-135m-instruct"
TYPES = {"F16": 1, "Q8_0": 7, "Q5_1": 9, "Q4_0": 2, "Q4_K_M": 15}
"""llama.cpp's `llama_ftype`."""
DEEP = "smollm2-twice-241m"
_BE_QUIET = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
"""Kept, since llama.cpp calls it for as long as the process lives."""
SHORTEST_S, LONGEST_S = 1.5, 4.0
"""Of a request: about what fit predicts for."""


@dataclass(kw_only=True)
class Took:
    """One set, all its turns, in seconds."""

    stt: list[float] = field(default_factory=list)
    llm: list[float] = field(default_factory=list)
    tts: list[float] = field(default_factory=list)
    new_tokens: list[int] = field(default_factory=list)
    clause_tokens: list[int] = field(default_factory=list)
    computing: list[float] = field(default_factory=list)
    spoken: list[float] = field(default_factory=list)

    @property
    def first_audio_s(self) -> float:
        return statistics.median(map(sum, zip(self.stt, self.llm, self.tts, strict=True)))

    @property
    def speech_factor(self) -> float:
        pairs = zip(self.computing, self.spoken, strict=True)
        return statistics.median(computing / spoken for computing, spoken in pairs)


def quantised(source: Path, target: Path, ftype: int) -> Path:
    """`source` in another type, by llama.cpp's own quantiser."""
    llama_cpp.llama_log_set(_BE_QUIET, None)
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize, params.nthread = ftype, True, os.cpu_count() or 1
    code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), params)
    if code:
        raise SystemExit(f"{target.name} could not be made: {code}")
    return target


def twice_as_deep(source: Path, target: Path) -> Path:
    """`source` with every layer twice in a row."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    reader = GGUFReader(source)
    writer = GGUFWriter(target, "llama")
    layers = int(reader.fields["llama.block_count"].contents())
    for name, each in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = 2 * layers if name == "llama.block_count" else each.contents()
        inner = each.types[1] if each.types[0] is GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, each.types[0], inner)
    for tensor in reader.tensors:
        names = [tensor.name]
        if tensor.name.startswith("blk."):
            _, layer, rest = tensor.name.split(".", 2)
            names = [f"blk.{2 * int(layer) + half}.{rest}" for half in (0, 1)]
        for name in names:
            writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def filled_store(folder: Path) -> Store:
    """A copy of the user's store with the variants added."""
    shutil.copytree(default_root(), folder / "models")
    os.environ["EDGE_ASSISTANT_MODELS_DIR"] = str(folder / "models")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    store = Store.default()
    source = store.path(STARTER)
    for name, ftype in TYPES.items():
        file = quantised(source, folder / f"SmolLM2-135M-Instruct.{name}.gguf", ftype)
        store.add(file, f"smollm2-135m-{name.lower()}")
        file.unlink()
    file = twice_as_deep(source, folder / "twice-241M.Q4_1.gguf")
    store.add(file, DEEP)
    file.unlink()
    return store


def requests(config: Config, store: Store, count: int) -> list[Samples]:
    """Recorded requests; made ones where there are no recordings."""
    if speech_folder() is None:
        print("no recordings: the requests are made by espeak, as those that fit measures with")
        return [clip.sound for clip in utterances(config, store)]
    chosen = [
        each
        for each in recordings("commands/")
        if each.facts["kind"] == "command" and SHORTEST_S <= each.seconds <= LONGEST_S
    ]
    Random(0).shuffle(chosen)
    return [each.sound() for each in chosen[:count]]


class Bench:
    """All engines, loaded side by side, with the threads of a conversation."""

    def __init__(
        self, config: Config, store: Store, candidates: Sequence[Candidate], cores: int
    ) -> None:
        self._system = Message(role="system", content=config.llm.system_prompt)
        self._stack = ExitStack()
        self.stt: dict[str, Recognizer] = {}
        self.llm: dict[str, LanguageModel] = {}
        self.tts: dict[str, Voice] = {}
        for each in candidates:
            model, ours = each.entry.id, as_in_a_turn(config, each.entry.engine, cores)
            if each.entry.kind == "stt":
                ours = ours.with_overrides({"stt.model": model})
                self.stt[model] = self._open(build_recognizer(ours, store))
            elif each.entry.kind == "llm":
                self.llm[model] = self._open(
                    build_llm(ours.with_overrides({"llm.model": model}), store)
                )
            else:
                bare = {"tts.voice": model, "tts.cache_bytes": 0, "tts.fallback": False}
                self.tts[model] = self._open(build_voice(ours.with_overrides(bare), store))

    def _open(self, engine: Any) -> Any:
        return self._stack.enter_context(closing(engine))

    def close(self) -> None:
        self._stack.close()

    def turn(self, names: tuple[str, str, str], sound: Samples, took: Took) -> None:
        """One request, answered to its end."""
        token = CancelToken()
        recognizer, llm, voice = self.stt[names[0]], self.llm[names[1]], self.tts[names[2]]
        llm.prefill([self._system], token)
        recognizer.transcribe(
            speech_like_noise(), token
        )  # or it would hear the same again, guessed
        marks = [time.perf_counter()]
        text = recognizer.transcribe(sound, token).text
        marks.append(time.perf_counter())
        splitter = SentenceSplitter()
        pieces = llm.generate([self._system, Message(role="user", content=text)], token)
        clauses: list[str] = []
        for piece in pieces:
            clauses += splitter.feed(piece)
            if clauses:
                break
        clauses = clauses or splitter.finish()
        marks.append(time.perf_counter())
        stats = llm.stats
        chunks = voice.synthesize(speakable(clauses[0]), token)
        first = next(chunks).samples
        resample(first, voice.sample_rate, SAMPLE_RATE)
        marks.append(time.perf_counter())
        took.stt.append(marks[1] - marks[0])
        took.llm.append(marks[2] - marks[1])
        took.tts.append(marks[3] - marks[2])
        took.new_tokens.append(stats.prompt_tokens - stats.reused_tokens)
        took.clause_tokens.append(stats.generated_tokens)
        self._rest(pieces, splitter, chunks, len(first), voice, took, marks)

    def _rest(
        self,
        pieces: Iterator[str],
        splitter: SentenceSplitter,
        chunks: Iterator[Any],
        frames: int,
        voice: Voice,
        took: Took,
        marks: list[float],
    ) -> None:
        """What follows the first sound: the rest of the reply, and all of it spoken."""
        began_s = time.perf_counter()
        frames += sum(len(chunk.samples) for chunk in chunks)
        rest = [clause for piece in pieces for clause in splitter.feed(piece)]
        for clause in (*rest, *splitter.finish()):
            if spoken := speakable(clause).strip():
                token = CancelToken()
                frames += sum(len(each.samples) for each in voice.synthesize(spoken, token))
        took.computing.append(time.perf_counter() - began_s + marks[3] - marks[1])
        took.spoken.append(frames / voice.sample_rate)


def error(predicted: float, measured: float) -> str:
    return f"{100 * (predicted - measured) / measured:+.0f} %"


def main() -> None:
    process.prepare()
    rounds = next((int(each) for each in sys.argv[1:] if each.isdigit()), 10)
    if "--cpu" in sys.argv:
        on_one_core_in_cpu_seconds()
    config = load_profile("starter")
    with tempfile.TemporaryDirectory(prefix="fit-") as folder:
        store = filled_store(Path(folder))
        machine = machines.look(store.root)
        hardware = machines.measure(machine)
        print(f"{machine.cpu}, {machine.usable_cores} cores may be used")
        print(
            f"read {hardware.bandwidth_bytes_s / 1e9:.1f} GB/s, {hardware.flops / 1e9:.0f} GFLOP/s,"
            f" one core {hardware.flops_per_core / 1e9:.0f}"
        )
        candidates = [
            candidate_of(status)
            for status in store.list()
            if status.is_installed and status.entry.kind in ("stt", "llm", "tts")
        ]
        clips = utterances(config, store)
        read = read_all(candidates, config, store, clips, machine.usable_cores)
        sizes = {each.entry.id: each for each in candidates}
        speeds: dict[str, Speed] = {}
        for name, each in sizes.items():
            assert each.size is not None
            like = estimated(each.entry.engine, hardware)
            speeds[name] = speed_of(each.entry.engine, each.size, name, read[name], like)
        took = measured(config, store, candidates, machine.usable_cores, rounds)
    tell_sets(sizes, speeds, took)
    tell_calibrations(sizes, speeds, took)


def read_all(
    candidates: Sequence[Candidate],
    config: Config,
    store: Store,
    clips: tuple[Clip, ...],
    cores: int,
) -> dict[str, dict[str, float]]:
    read = {}
    for each in candidates:
        found = readings(each, config, store, clips, cores, CancelToken())
        read[each.entry.id] = found
        shown = {k: round(v, 4) for k, v in found.items() if k not in ("load_s", "first_call_s")}
        print(f"read {each.entry.id}: {shown}", flush=True)
    return read


def measured(
    config: Config, store: Store, candidates: Sequence[Candidate], cores: int, rounds: int
) -> dict[tuple[str, str, str], Took]:
    """All sets, in turn, in a shuffled order."""
    sounds = requests(config, store, rounds)
    seconds = [len(each) / SAMPLE_RATE for each in sounds]
    print(f"{len(sounds)} requests of {statistics.mean(seconds):.2f} s on average")
    with closing(Bench(config, store, candidates, cores)) as bench:
        sets = list(product(bench.stt, bench.llm, bench.tts))
        took = {names: Took() for names in sets}
        for names in sets:  # the first work of an engine is slower, and counts nowhere
            bench.turn(names, sounds[-1], Took())
        for index, sound in enumerate(sounds):
            Random(index).shuffle(sets)
            for names in sets:
                bench.turn(names, sound, took[names])
    return took


def tell_sets(
    sizes: dict[str, Candidate],
    speeds: dict[str, Speed],
    took: dict[tuple[str, str, str], Took],
) -> None:
    print(f"\nmeasured with {STARTER} (*), predicted for all")
    print("set | predicted | measured | error | of it stt, llm, tts (predicted/measured)"
          " | load predicted | measured | error | new tokens | clause tokens")  # fmt: skip
    errors: list[float] = []
    load_errors: list[float] = []
    for names, found in took.items():
        costs = predicted(names, sizes, speeds, by=STARTER)
        first_s = sum(each.first_s for each in costs)
        factor = sum(each.per_speech_s for each in costs)
        parts = zip(costs, (found.stt, found.llm, found.tts), strict=True)
        shown = ", ".join(
            f"{each.first_s:.3f}/{statistics.median(values):.3f}" for each, values in parts
        )
        mark = "*" if names[1] == STARTER else ""
        if not mark:
            errors.append(abs(first_s / found.first_audio_s - 1))
            load_errors.append(abs(factor / found.speech_factor - 1))
        print(
            f"{' + '.join(names)}{mark} | {first_s:.3f} s | {found.first_audio_s:.3f} s"
            f" | {error(first_s, found.first_audio_s)} | {shown}"
            f" | {factor:.3f} | {found.speech_factor:.3f} | {error(factor, found.speech_factor)}"
            f" | {statistics.mean(found.new_tokens):.1f}"
            f" | {statistics.mean(found.clause_tokens):.1f}"
        )
    print(
        f"mean error without *: first audio {100 * statistics.mean(errors):.0f} %, "
        f"load {100 * statistics.mean(load_errors):.0f} %"
    )


def tell_calibrations(
    sizes: dict[str, Candidate],
    speeds: dict[str, Speed],
    took: dict[tuple[str, str, str], Took],
) -> None:
    """Every model predicts every other: error of the first audio."""
    models = [name for name, each in sizes.items() if each.entry.kind == "llm"]
    print("\nerror of the first audio; a row: measured with this; a column: predicted for that")
    print("| ".join(["", *models]))
    all_errors = []
    for by in models:
        cells = []
        for model in models:
            found = [(names, each) for names, each in took.items() if names[1] == model]
            (names, each), *_ = found
            first_s = sum(part.first_s for part in predicted(names, sizes, speeds, by=by))
            cells.append(error(first_s, each.first_audio_s))
            if by != model:
                all_errors.append(abs(first_s / each.first_audio_s - 1))
        print("| ".join([by, *cells]))
    print(
        f"mean {100 * statistics.mean(all_errors):.0f} %, worst {100 * max(all_errors):.0f} %"
        f" of {len(all_errors)} predictions of a model from another"
    )


def predicted(
    names: tuple[str, str, str],
    sizes: dict[str, Candidate],
    speeds: dict[str, Speed],
    *,
    by: str,
) -> list[Cost]:
    """Costs of the three; the language model's from what `by` was measured at."""
    found = []
    for name in names:
        each = sizes[name]
        assert each.size is not None
        speed = speeds[by] if isinstance(each.size, LlmSize) else speeds[name]
        found.append(cost(each.size, speed))
    return found


if __name__ == "__main__":
    main()
