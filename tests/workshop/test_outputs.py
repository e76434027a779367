"""A file that is made is there as a whole or not at all, whenever its maker is killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llm.quantise import quantise_llm
from edge_assistant_quantize.outputs import new_file

from tests.workshop.llama_gguf import write_llama

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20
OLD = b"what was there before"

PROGRAM = """
import sys
from pathlib import Path
from edge_assistant_quantize.llm.quantise import quantise_llm
print("go", flush=True)
quantise_llm(Path(sys.argv[1]), Path(sys.argv[2]), "IQ4_XS", threads=1, overwrite=True)
"""


def code_of(path: Path, *sources: Path) -> str:
    with pytest.raises(WorkshopError) as caught, new_file(path, *sources):
        pytest.fail("it was let in")
    assert caught.value.hint
    return caught.value.code


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with new_file(path) as part:
        part.write_bytes(b"whole")
        assert not path.exists()
        assert part.parent == path.parent
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(OLD)

    def fail(part: Path) -> None:
        part.write_bytes(b"half")
        raise KeyError

    with pytest.raises(KeyError), new_file(path, overwrite=True) as part:
        fail(part)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path, other = tmp_path / "out.bin", tmp_path / ".other.bin.01234567.part"
    left = tmp_path / ".out.bin.01234567.part"
    left.write_bytes(b"half")
    other.write_bytes(b"somebody else's")
    with new_file(path) as part:
        part.write_bytes(b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([other, path])


def test_what_is_refused(tmp_path: Path) -> None:
    source, link = tmp_path / "in.bin", tmp_path / "link.bin"
    source.write_bytes(b"x")
    link.symlink_to(source)
    assert code_of(source, source) == "output-is-input"
    assert code_of(link, source) == "output-is-input"
    assert code_of(source) == "output-exists"
    with pytest.raises(WorkshopError) as caught, new_file(tmp_path / "nowhere" / "x") as part:
        part.write_bytes(b"x")
    assert caught.value.code == "output-unwritable"


def run(source: Path, output: Path) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "quantize")])
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(source), str(output)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    return child


def parts_in(folder: Path) -> list[Path]:
    return list(folder.glob(".*.part"))


def wait_for_a_part(child: subprocess.Popen[str], folder: Path) -> None:
    while child.poll() is None and not parts_in(folder):
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
def test_kills_at_random_instants_leave_no_half_written_file(tmp_path: Path) -> None:
    """Of the process that was asked; llama.cpp works in a child of it, which has to end too.

    Half of them come anywhere, half after the file was begun: however slow the first run was, some
    find it half written.
    """
    source = write_llama(tmp_path / "source.gguf", layers=6)
    output = tmp_path / "folder" / "out.gguf"
    output.parent.mkdir()
    with run(source, output) as child:
        begun_s = time.monotonic()
        wait_for_a_part(child, output.parent)
        writing_s = time.monotonic()
        assert child.wait() == 0
        ended_s = time.monotonic()
    whole = output.read_bytes()
    rng = random.Random(5)
    midway = left = 0
    for kill in range(KILLS):
        output.unlink(missing_ok=True)
        if kill % 2:
            output.write_bytes(OLD)
        with run(source, output) as child:
            if is_late := kill % 4 < 2:
                wait_for_a_part(child, output.parent)
            time.sleep(rng.uniform(0, ended_s - (writing_s if is_late else begun_s)))
            midway += bool(parts_in(output.parent))
            child.kill()
        if output.exists():
            assert output.read_bytes() in (whole, OLD)
        deadline_s = time.monotonic() + 10
        while parts_in(output.parent) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        left += bool(parts_in(output.parent))
    took_s = ended_s - begun_s
    print(f"{KILLS} kills in {took_s:.2f} s of work, {midway} while writing, {left} parts left")
    assert midway >= KILLS // 5  # or this would have shown nothing
    quantise_llm(source, output, "IQ4_XS", overwrite=True)
    assert output.read_bytes() == whole
    assert list(output.parent.iterdir()) == [output]
