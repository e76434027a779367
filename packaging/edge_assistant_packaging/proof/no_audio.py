"""`prove --no-audio`: a turn leaves nothing on disk of what was said, neither sound nor words."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.proof import enclosure, seccomp, written
from edge_assistant_packaging.proof.canary import Canary
from edge_assistant_packaging.proof.enclosure import Ran
from edge_assistant_packaging.proof.matched import THRESHOLD
from edge_assistant_packaging.proof.report import Proof
from edge_assistant_packaging.proof.sightings import Seeker
from edge_assistant_packaging.proof.subject import Subject, hold
from edge_assistant_packaging.proof.turn import Home, Spoken
from edge_assistant_packaging.proof.written import Traced, Written

LIMITS: Final = (
    "memory: the process's own, memfd, and what the kernel swaps out",
    "sound that was encrypted, stretched in time, or kept in pieces shorter than 0.8 s",
    "sound in codecs that libsndfile does not decode, in other packings than gzip, bzip2, xz, zip "
    "and tar, or as raw samples that are not int16, float32 or uint8 at a usual rate",
    "words within a model's state; a transcript that shares no four words with the turn's own",
    "dumps of a crash: none was caused (the command line sets RLIMIT_CORE to 0)",
    "REPLY.wav is written because `converse` is told to; it is searched for sound all the same",
)


def prove(subject: Subject, bird: Canary) -> Proof:
    """Hold a turn that says the canary, and search everything that was written.

    Args:
        subject: what is proved; its speech is `bird`'s sound.
        bird: what is searched for.

    Raises:
        ShippingError: `proof-not-run`: no turn came about.
    """
    proof = Proof(subject="no-audio", limits=list(LIMITS))
    proof.checked["canary"] = {"seed": bird.seed, "said": bird.text, "code words": list(bird.words)}
    watch, why_not_strace = enclosure.choose_watch()
    if watch == "seccomp":
        proof.unchecked.append(
            "files outside of the turn's own folders (/dev/shm too), and files removed in between: "
            f"{why_not_strace}, and no other watch sees files"
        )
        if seccomp.available():
            return proof
    with tempfile.TemporaryDirectory(prefix="edge-assistant-proof-") as folder:
        home = Home(folder=Path(folder))
        ran, said = hold(subject, home, watch, calls=enclosure.FILE_CALLS, is_cut_off=False)
        seeker = Seeker(bird, [*said.transcripts, *said.replies])
        _try_search(seeker, bird)
        seen = written.traced(ran.calls)
        own = [home.user, home.work, home.reply.parent]
        found = list(written.to_search(seen, own))
        _search(found, ran.output, home, seeker, proof)
        proof.unchecked += written.unsearchable(seen)
        proof.unchecked += [f"the rest of {where}: it is too large" for where in seeker.cut]
        _tell(ran, said, seen, found, home, seeker, proof)
    return proof


def _try_search(seeker: Seeker, bird: Canary) -> None:
    """A search that misses what was planted in front of it proves nothing."""
    half = bird.signal[: len(bird.signal) // 2]
    planted = base64.b64encode(b"odd" + (half * 20_000).astype(np.int16).tobytes())
    text = f'{{"heard": "{bird.text}"}}'.encode()
    if not seeker.search("control", planted) or not seeker.search("control", text):
        raise ShippingError(
            "proof-watch-blind",
            "the search did not find what it was tried on",
            "please report it, with the seed of the canary",
        )


def _search(
    found: Sequence[Written], output: bytes, home: Home, seeker: Seeker, proof: Proof
) -> None:
    for each in found:
        proof.breaches += map(str, seeker.search(_short(each.place, home), each.data))
    proof.breaches += map(str, seeker.search("standard output and error", output))


def _tell(
    ran: Ran,
    said: Spoken,
    seen: Traced,
    found: Sequence[Written],
    home: Home,
    seeker: Seeker,
    proof: Proof,
) -> None:
    """Into the proof: what was looked at."""
    if ran.exit_code != 0:
        proof.breaches.append(f"the assistant ended with {ran.exit_code}")
    outside = sorted(path for path in seen.files if not Path(path).is_relative_to(home.folder))
    searched: dict[str, Any] = {
        "files and streams": len(found),
        "bytes": sum(len(each.data) for each in found) + len(ran.output),
        "of these": [f"{_short(each.place, home)}: {len(each.data)} bytes" for each in found],
        "bytes of standard output and error": len(ran.output),
        "written outside of the turn's own folders": outside,
    }
    proof.checked |= {
        "the turn": said.to_json(),
        "watched by": ran.watch,
        "files opened for writing": len(seen.files),
        "writes seen": sum(call.name in written.WRITES for call in ran.calls),
        "memfd_create, not searched": seen.memory_files,
        "searched": searched,
        "the search was tried": "it found the canary as base64 of int16, and its words in JSON",
        "ways in which bytes were read as samples": seeker.readings,
        "words and runs of words looked for": seeker.phrases,
        "highest correlation that is no find": f"{seeker.highest_miss:.2f} (a find: {THRESHOLD})",
        "finds": len(proof.breaches),
    }


def _short(place: str, home: Home) -> str:
    return place.replace(f"{home.folder}/", "", 1)
