"""Tokens: our reference, llama.cpp and Hugging Face's tokenizers cut alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edge_assistant_quantize.llama.bpe_reference import BpeReference, cut_text
from edge_assistant_quantize.llama.config import read_shape
from edge_assistant_quantize.llama.convert import convert_llama
from edge_assistant_quantize.llama.gguf_logits import GgufLogits
from edge_assistant_quantize.llama.pre_tokenizers import KNOWN
from edge_assistant_quantize.llama.tokenizer import read_vocabulary

from tests.workshop.golden_bpe import ALL
from tests.workshop.tiny_llama import Variant, write_tiny_llama

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_bpe.json").read_text())


@pytest.mark.parametrize("pre", GOLDEN)
def test_all_three_cut_alike(pre: str, tmp_path: Path) -> None:
    """The golden ids are those of `tokenizers`; the recipe is in golden_bpe.py."""
    folder = write_tiny_llama(tmp_path / "checkpoint", Variant(pre=pre))
    vocabulary = read_vocabulary(folder, read_shape(folder).vocab_size)
    assert vocabulary.pre.name == pre
    reference = BpeReference(vocabulary)
    made = convert_llama(folder, tmp_path / "model.gguf")
    with GgufLogits(made.path) as model:
        for text, ids in zip(ALL, GOLDEN[pre], strict=True):
            assert reference.encode(text) == ids, text
            assert model.tokenize(text) == ids, text


def test_the_texts_tell_the_pre_tokenisers_apart() -> None:
    assert sorted(GOLDEN) == sorted(known.name for known in KNOWN)
    cuts = {known.name: [tuple(cut_text(text, known.patterns)) for text in ALL] for known in KNOWN}
    names = sorted(cuts)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            assert cuts[name] != cuts[other]
