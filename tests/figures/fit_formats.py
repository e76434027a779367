"""How quick llama.cpp's kernels are by format: the table `[kernels]` of `fit/sizes.toml`.

`python -m tests.figures.fit_formats`, on one core and in CPU seconds; needs the starter pack and
the extra `quantize`. A Llama of random weights, 1024 wide so that K-quants are what they say, is
quantised to each format and measured as `fit` measures any model. What it says means nothing; how
long it takes does not depend on the weights.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter

from edge_assistant.cancel import CancelToken
from edge_assistant.cli import process
from edge_assistant.config import load_profile
from edge_assistant.engine_bench.llm import REPLY_TOKENS, LlmProbe
from edge_assistant.engine_bench.probe import Sheet
from edge_assistant.engine_bench.readings import Round
from edge_assistant.llm.llamacpp import LlamaCpp
from edge_assistant.store.store import Store
from tests.figures.fit_work import on_one_core_in_cpu_seconds

STARTER = "smollm2-135m-instruct"
TYPES = {
    "Q4_0": 2,
    "F16": 1,
    "Q8_0": 7,
    "Q6_K": 18,
    "Q5_K_M": 17,
    "Q5_1": 9,
    "Q5_0": 8,
    "Q4_K_M": 15,
    "Q4_1": 3,
    "IQ4_XS": 30,
    "IQ4_NL": 25,
}
"""llama.cpp's `llama_ftype`; the first is what the others are compared with."""
WIDTH, INNER, LAYERS, HEADS = 1024, 2816, 6, 16


def random_llama(starter: Path, target: Path) -> Path:
    """F16, with the tokenizer of the starter model."""
    reader = GGUFReader(starter)
    writer = GGUFWriter(target, "llama")
    for name, each in reader.fields.items():
        if name.startswith("tokenizer."):
            inner = each.types[1] if each.types[0] is GGUFValueType.ARRAY else None
            writer.add_key_value(name, each.contents(), each.types[0], inner)
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    rng = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        values = (0.02 * rng.standard_normal((rows, columns), dtype=np.float32)).astype(np.float16)
        writer.add_tensor(f"{name}.weight", values, raw_dtype=GGMLQuantizationType.F16)

    matrix("token_embd", len(reader.fields["tokenizer.ggml.tokens"].data), WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}{name}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(block + name, WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            matrix(block + name, INNER, WIDTH)
        matrix(f"{block}ffn_down", WIDTH, INNER)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def rates(model: Path, rounds: int = 2) -> tuple[float, float]:
    """Tokens a second: of a reply, and of a prompt; the quicker round."""
    settings = load_profile("starter").with_overrides(
        {
            "llm.num_threads": 1,
            "llm.num_threads_batch": 1,
            "llm.max_tokens": REPLY_TOKENS,
            "llm.wrap_up_tokens": REPLY_TOKENS,
        }
    )
    engine = LlamaCpp(model, template="chatml", settings=settings.llm)
    with closing(LlmProbe(engine, settings.llm.system_prompt)) as probe:
        probe.first_call(CancelToken())
        round_ = Round(index=0)
        for _ in range(rounds):
            probe.measure(Sheet(round=round_, stage="llm", model=model.stem), CancelToken())
    found = {
        metric: max(each.value for each in round_.readings if each.metric == metric)
        for metric in ("decode_rate", "prefill_rate")
    }
    return found["decode_rate"], found["prefill_rate"]


def main() -> None:
    from tests.figures.fit import quantised

    process.prepare()
    on_one_core_in_cpu_seconds()
    first: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory(prefix="fit-") as folder:
        source = random_llama(Store.default().path(STARTER), Path(folder) / "source.gguf")
        for name, ftype in TYPES.items():
            file = quantised(source, Path(folder) / f"{name}.gguf", ftype)
            decode, prompt = rates(file)
            read = decode * file.stat().st_size
            first = first or (read, prompt)
            print(
                f"{name} = {{ read = {read / first[0]:.2f}, flops = {prompt / first[1]:.2f} }}  "
                f"# {file.stat().st_size / 1e6:.0f} MB, {decode:.1f} and {prompt:.1f} tokens/s",
                flush=True,
            )
            file.unlink()


if __name__ == "__main__":
    main()
