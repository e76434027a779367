"""Made-up machines and models for the tests of `fit`."""

from __future__ import annotations

from edge_assistant.fit.choose import Candidate, Memory
from edge_assistant.fit.predict import Hardware, Speed, estimated
from edge_assistant.fit.report import judged
from edge_assistant.fit.sizes import ram_bytes, size_of
from edge_assistant.store.entry import Engine, FileSpec, Kind, ModelEntry

PI = Hardware(bandwidth_bytes_s=12e9, flops=100e9, flops_per_core=25e9)
"""A Raspberry Pi 5 class board: see the machine constants in docs/workshop/fit.md."""
PI_MEMORY = Memory(ram_bytes=4_000_000_000, free_bytes=2_600_000_000, disk_free_bytes=20 * 10**9)
DESKTOP = Hardware(bandwidth_bytes_s=60e9, flops=1500e9, flops_per_core=200e9)
DESKTOP_MEMORY = Memory(
    ram_bytes=32_000_000_000, free_bytes=24_000_000_000, disk_free_bytes=500 * 10**9
)

ENGINES: tuple[Engine, ...] = ("llamacpp", "whispercpp", "moonshine", "piper", "espeak")
_KINDS: dict[Engine, Kind] = {
    "llamacpp": "llm",
    "whispercpp": "stt",
    "moonshine": "stt",
    "piper": "tts",
    "espeak": "tts",
}


def entry(
    model_id: str,
    engine: Engine = "llamacpp",
    *,
    title: str = "",
    file: str = "",
    ram: int = 100_000_000,
    languages: tuple[str, ...] = ("en",),
    packs: tuple[str, ...] = (),
    max_bytes: int = 100_000_000,
) -> ModelEntry:
    """A model of a catalog; its file's size is not known."""
    spec = FileSpec(name=file or f"{model_id}.bin", sources=("file:/x",), max_bytes=max_bytes)
    return ModelEntry(
        id=model_id,
        kind=_KINDS[engine],
        engine=engine,
        title=title or model_id,
        languages=languages,
        licence="MIT",
        ram_bytes=ram,
        files=(spec,),
        packs=packs,
    )


def rates(hardware: Hardware) -> dict[Engine, Speed]:
    """Nothing is installed there."""
    return {engine: estimated(engine, hardware) for engine in ENGINES}


def candidate(
    model: ModelEntry,
    hardware: Hardware,
    memory: Memory,
    *,
    file_bytes: int | None = None,
    is_installed: bool = False,
) -> Candidate:
    """A model, judged on a machine."""
    spec = model.files[0]
    bare = Candidate(
        entry=model,
        size=size_of(model, file_bytes),
        ram_bytes=ram_bytes(model, file_bytes),
        is_installed=is_installed,
        download_bytes=0 if is_installed else spec.max_bytes,
    )
    return judged(bare, rates(hardware), memory)


STARTER = ("starter",)
SHELF = (
    entry("smollm2-135m-instruct", title="SmolLM2, Q4_1", ram=190_000_000, packs=STARTER),
    entry("qwen2.5-0.5b-instruct", title="Qwen2.5 0.5B, Q4_K_M", ram=650_000_000),
    entry("llama-3.2-1b-instruct", title="Llama 3.2 1B, Q4_K_M", ram=1_200_000_000),
    entry("llama-3.2-3b-instruct", title="Llama 3.2 3B, Q4_K_M", ram=2_700_000_000),
    entry("moonshine-tiny-en", "moonshine", ram=120_000_000, packs=STARTER),
    entry("whisper-tiny.en-q5_1", "whispercpp", ram=150_000_000),
    entry("whisper-base.en-q5_1", "whispercpp", ram=220_000_000),
    entry("whisper-small-q5_1", "whispercpp", ram=520_000_000, languages=("en", "de")),
    entry("espeak-en", "espeak", ram=20_000_000, packs=STARTER),
    entry("piper-en-gb-alba-medium", "piper", ram=150_000_000, languages=("en-GB",)),
    entry("piper-de-de-thorsten-medium", "piper", ram=150_000_000, languages=("de-DE",)),
    entry("piper-en-us-ryan-high", "piper", ram=250_000_000, languages=("en-US",)),
)


def shelf(hardware: Hardware, memory: Memory) -> list[Candidate]:
    """All of `SHELF` on a machine; the starter pack is installed."""
    return [
        candidate(model, hardware, memory, is_installed="starter" in model.packs) for model in SHELF
    ]
