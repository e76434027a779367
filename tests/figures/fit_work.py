"""What classes of speech models cost, in numpy's matrix products: the table `WORK` of fit.predict.

`python -m tests.figures.fit_work`, with the starter pack. On one core, and in CPU seconds, so that
other programs disturb it little. Piper voices have the architecture of each class and random
weights: their times are real, their speech is noise. Also what llama.cpp makes of memory and
arithmetic, for the shares of `estimated`.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

from edge_assistant.cancel import CancelToken
from edge_assistant.cli import process
from edge_assistant.config import load_profile
from edge_assistant.engine_bench.probe import Sheet
from edge_assistant.engine_bench.readings import Round
from edge_assistant.engine_bench.tts import TtsProbe
from edge_assistant.fit import machine as machines
from edge_assistant.fit.measure import readings, speed_of, utterances
from edge_assistant.fit.predict import estimated
from edge_assistant.fit.report import candidate_of
from edge_assistant.fit.sizes import LlmSize
from edge_assistant.store.store import Store
from edge_assistant.tts.piper import PiperTts
from tests.engines.piper_vits import MEDIUM, Architecture, write_vits_voice

HIGH = replace(
    MEDIUM,
    upsample_initial_channel=512,
    upsample_rates=(8, 8, 2, 2),
    upsample_kernel_sizes=(16, 16, 4, 4),
    resblock_kernel_sizes=(3, 7, 11),
    resblock_dilation_sizes=((1, 1, 3, 1, 5, 1),) * 3,
)
VOICES: dict[str, tuple[Architecture, int]] = {
    "x_low": (replace(MEDIUM, hidden_channels=96, filter_channels=384), 16_000),
    "low": (MEDIUM, 16_000),
    "medium": (MEDIUM, 22_050),
    "high": (HIGH, 22_050),
}
"""As `piper_train` has them, and sample rates."""
RUNS = 3


def voice_times(size: Architecture, sample_rate: int, quality: str) -> tuple[float, float]:
    """Seconds to the first sound, and the real-time factor."""
    config = {"audio": {"sample_rate": sample_rate, "quality": quality}}
    with tempfile.TemporaryDirectory() as folder:
        model, json = write_vits_voice(Path(folder), size, config)
        with closing(TtsProbe(PiperTts(model, json))) as probe:
            probe.first_call(CancelToken())
            round_ = Round(index=0)
            for _ in range(RUNS):
                probe.measure(Sheet(round=round_, stage="tts", model=quality), CancelToken())
    found = {
        metric: median(each.value for each in round_.readings if each.metric == metric)
        for metric in ("first_audio_s", "rtf")
    }
    return found["first_audio_s"], found["rtf"]


def on_one_core_in_cpu_seconds() -> None:
    """For this process, and for good."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    time.perf_counter = time.process_time


def main() -> None:
    process.prepare()
    on_one_core_in_cpu_seconds()
    config, store = load_profile("starter"), Store.default()
    machine = machines.look(store.root)
    hardware = machines.measure(machine)
    core = hardware.flops_per_core
    print(f"{machine.cpu}, {machine.usable_cores} cores: {core / 1e9:.1f} GFLOP/s on one,")
    print(f"{hardware.flops / 1e9:.1f} on all, {hardware.bandwidth_bytes_s / 1e9:.1f} GB/s")
    clips = utterances(config, store)
    for status in store.list():
        each = candidate_of(status)
        if not each.is_installed or each.size is None:
            continue
        read = readings(each, config, store, clips, machine.usable_cores, CancelToken())
        if isinstance(each.size, LlmSize):
            like = estimated("llamacpp", hardware)
            speed = speed_of("llamacpp", each.size, each.entry.id, read, like)
            print(
                f"{each.entry.id}: {speed.read_bytes_s / 1e9:.1f} GB/s, a share of "
                f"{speed.read_bytes_s / hardware.bandwidth_bytes_s:.2f}; "
                f"{speed.flops / 1e9:.0f} GFLOP/s, {speed.flops / hardware.flops:.2f}"
            )
            continue
        first = f", first {read['first_audio_s'] * core:.2e}" if "first_audio_s" in read else ""
        print(f"{each.entry.id}: rtf {read['rtf']:.4f}, per_s {read['rtf'] * core:.2e}{first}")
    for quality, (size, sample_rate) in VOICES.items():
        first_s, rtf = voice_times(size, sample_rate, quality)
        print(
            f"piper-{quality}: rtf {rtf:.4f}, first {first_s:.4f} s, "
            f"per_s {rtf * core:.2e}, first {first_s * core:.2e}"
        )


if __name__ == "__main__":
    main()
