"""A child process: the scores of a ggml file for given tokens, from whisper.cpp's own library.

    python -P whisper_steps.py LIBRARY MODEL JOB.npz SCORES.npy

pywhispercpp gives out one score of them all (its binding takes the pointer for a number), so this
calls the C interface of the library in its wheel. A process of its own, because a model that is
wrong can end it, and because whisper.cpp has one log for the whole process. It imports none of our
modules: only what the file needs that its parent runs.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int, c_int32, c_size_t, c_void_p

import numpy as np
from numpy.typing import NDArray


class ContextParams(ctypes.Structure):
    """`whisper_context_params` of whisper.h.

    Flash attention, its default, pads the keys with zeros up to a multiple of 256 and gives these
    their share of the attention; what is compared here is the model, so it is switched off.
    """

    _fields_ = (
        ("use_gpu", c_bool),
        ("flash_attn", c_bool),
        ("gpu_device", c_int),
        ("dtw_token_timestamps", c_bool),
        ("dtw_aheads_preset", c_int),
        ("dtw_n_top", c_int),
        ("dtw_aheads_n_heads", c_size_t),
        ("dtw_aheads_heads", c_void_p),
        ("dtw_mem_size", c_size_t),
    )


def scores(
    library: str, model: str, audio: NDArray[np.float32], prompt: list[int], tokens: list[int]
) -> NDArray[np.float32]:
    """Scores (1 + len(tokens), vocabulary) behind the prompt, and behind each token after it.

    Raises:
        RuntimeError: whisper.cpp refuses the file, or fails.
    """
    # Loads ggml's libraries too, which lie beside it under names of their own.
    import _pywhispercpp  # noqa: F401

    whisper = _interface(ctypes.CDLL(library))
    options = whisper.whisper_context_default_params()
    options.use_gpu = False
    options.flash_attn = False
    context = whisper.whisper_init_from_file_with_params(model.encode(), options)
    if not context:
        raise RuntimeError("whisper.cpp refuses the file")
    samples = np.ascontiguousarray(audio, dtype=np.float32)
    pointer = samples.ctypes.data_as(POINTER(c_float))
    if whisper.whisper_pcm_to_mel(context, pointer, len(samples), 1):
        raise RuntimeError("whisper.cpp makes no log-mel picture")
    if whisper.whisper_encode(context, 0, 1):
        raise RuntimeError("whisper.cpp's encoder fails")
    num_tokens = whisper.whisper_n_vocab(context)
    rows = []
    past = 0
    for step in (prompt, *([token] for token in tokens)):
        given = (c_int32 * len(step))(*step)
        if whisper.whisper_decode(context, given, len(step), past, 1):
            raise RuntimeError("whisper.cpp's decoder fails")
        past += len(step)
        # One row for every token given; only that of the last one is filled.
        table = np.ctypeslib.as_array(whisper.whisper_get_logits(context), (len(step), num_tokens))
        rows.append(table[-1].copy())
    whisper.whisper_free(context)
    return np.stack(rows)


def _interface(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare what `whisper.h` declares."""
    library.whisper_context_default_params.restype = ContextParams
    library.whisper_init_from_file_with_params.argtypes = [c_char_p, ContextParams]
    library.whisper_init_from_file_with_params.restype = c_void_p
    library.whisper_free.argtypes = [c_void_p]
    library.whisper_pcm_to_mel.argtypes = [c_void_p, POINTER(c_float), c_int, c_int]
    library.whisper_encode.argtypes = [c_void_p, c_int, c_int]
    library.whisper_decode.argtypes = [c_void_p, POINTER(c_int32), c_int, c_int, c_int]
    library.whisper_get_logits.argtypes = [c_void_p]
    library.whisper_get_logits.restype = POINTER(c_float)
    library.whisper_n_vocab.argtypes = [c_void_p]
    return library


def main(library: str, model: str, job: str, output: str) -> None:
    """Do one job: arrays `audio`, `prompt` and `tokens`."""
    with np.load(job) as given:
        prompt, tokens = given["prompt"].tolist(), given["tokens"].tolist()
        np.save(output, scores(library, model, given["audio"], prompt, tokens))


if __name__ == "__main__":
    main(*sys.argv[1:])
