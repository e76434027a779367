"""Sets up a checkout and runs or tests it: what `make run` and `make test` call.

Only the standard library, and nothing that a Python older than 3.11 could not parse, so that an old
one gets a sentence, not a syntax error. Every step leaves a stamp when it is done: an interrupted
set-up goes on where it stopped, and a finished one costs nothing the next time.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "stamps"
LOG = VENV / "setup.log"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")

NATIVE_BUILD = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"
"""llama.cpp for the processor of this machine, without its picture models."""

TEST_PARTS = (
    ["-m", "not (model or device)", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"],
    ["-m", "model or device"],
)
"""All tests: those that only compute on all cores, then those that listen and speak in real time,
which others would disturb, one after the other. With arguments for pytest there is one part."""


class SetupFailed(Exception):
    """A sentence for the person at the terminal."""


def main(argv: list[str]) -> int:
    goal, rest = (argv[0] if argv else "run"), argv[1:]
    os.chdir(ROOT)
    try:
        check_python()
        return {"run": run, "test": test, "lint": lint, "setup": setup}[goal](rest)
    except KeyError:
        print("usage: bootstrap.py run|test|lint|setup [arguments]", file=sys.stderr)
        return 2
    except SetupFailed as failure:
        print(f"\nsetup failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the next run goes on from here", file=sys.stderr)
        return 130


def run(arguments: list[str]) -> int:
    setup([])
    command = str(BIN / "edge-assistant")
    os.execv(command, [command, "run", "--demo-if-silent", *arguments])


def test(arguments: list[str]) -> int:
    setup(["dev"])
    failed = checks()
    for part in [arguments] if arguments else TEST_PARTS:
        if subprocess.call([python(), "-m", "pytest", *part]) != 0:
            failed.append(shlex.join(["pytest", *part]))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def lint(_arguments: list[str]) -> int:
    install(["dev"])
    return 1 if checks() else 0


def checks() -> list[str]:
    """Run the linters; the names of those that found something."""
    commands = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy"],
    }
    return [
        name
        for name, command in commands.items()
        if subprocess.call([python(), "-m", *command], stdout=sys.stderr) != 0
    ]


def setup(extras: list[str]) -> int:
    """Everything that talking needs."""
    install(extras)
    if subprocess.call([str(BIN / "edge-assistant"), "models", "pull", "starter"]) != 0:
        raise SetupFailed("the starter pack is not complete (see above); run this again to go on")
    if sys.platform.startswith("linux") and not ctypes.util.find_library("portaudio"):
        say("no PortAudio, so no microphone and no loudspeaker: sudo apt install libportaudio2")
    return 0


def install(extras: list[str]) -> None:
    """Virtual environment, the engine that is compiled, then the package with the rest."""
    project = project_table()
    llama = requirement_of(project, "llama-cpp-python")
    llama_key, key = key_of(llama), key_of(repr(project))
    if not has_venv():
        make_venv()
    STAMPS.mkdir(exist_ok=True)
    if not is_done("llama-cpp", llama_key):
        check_compiler()
        step("Compiling llama.cpp for this machine (minutes, once)", pip("install", llama))
        mark_done("llama-cpp", llama_key)
    name = "-".join(["package", *extras])
    if not is_done(name, key) and (extras or not is_done("package-dev", key)):
        target = f".[{','.join(extras)}]" if extras else "."
        step("Installing edge-assistant and its engines", pip("install", "-e", target))
        mark_done(name, key)


def check_python() -> None:
    if sys.version_info >= OLDEST:
        return
    newer = [name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)]
    found = ".".join(map(str, sys.version_info[:3]))
    mend = f"make run PYTHON={newer[0]}" if newer else "install Python 3.11 or newer"
    raise SetupFailed(f"Python 3.11 or newer is needed and this is {found}: {mend}")


def has_venv() -> bool:
    """Whether .venv works; one that was interrupted before pip came does not."""
    if STAMPS.exists() and Path(python()).exists():
        return True
    probe = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return (
            subprocess.run([python(), "-c", probe], capture_output=True, check=False).returncode
            == 0
        )
    except OSError:
        return False


def make_venv() -> None:
    try:
        import ensurepip
        import venv
    except ImportError as error:
        raise SetupFailed(
            "Python's venv module is missing: sudo apt install python3-venv"
        ) from error
    del ensurepip, venv
    say("Making a virtual environment in .venv")
    if VENV.exists():  # a half-made one
        shutil.rmtree(VENV)
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        reason = (made.stdout + made.stderr).strip().splitlines()[-1:] or ["no reason given"]
        raise SetupFailed(f"no virtual environment ({reason[0]}): sudo apt install python3-venv")


def check_compiler() -> None:
    """Compile a few lines before the long build starts, and say what is missing in one line."""
    mend = {
        "linux": "sudo apt install build-essential",
        "darwin": "xcode-select --install",
    }.get(sys.platform, "install a C and C++ compiler")
    for variable, default, suffix, source in (
        ("CC", "cc", ".c", "#include <stdio.h>\nint main(void) { return 0; }\n"),
        ("CXX", "c++", ".cpp", "#include <vector>\nint main() { return 0; }\n"),
    ):
        compiler = os.environ.get(variable, default).split()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / ("probe" + suffix)
            file.write_text(source)
            command = [*compiler, str(file), "-o", str(Path(folder) / "probe")]
            try:
                works = subprocess.run(command, capture_output=True, check=False).returncode == 0
            except OSError:
                works = False
        if not works:
            raise SetupFailed(
                f"llama.cpp is compiled on your machine and `{compiler[0]}` does not work: {mend}"
            )


def project_table() -> dict[str, Any]:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, Any] = tomllib.load(file)["project"]
    return table


def key_of(wanted: str) -> str:
    """What a stamp holds: another wish, Python or machine asks for another installation."""
    facts = wanted + sys.version + platform.machine()
    return hashlib.sha256(facts.encode()).hexdigest()


def requirement_of(project: dict[str, Any], name: str) -> str:
    return next(str(each) for each in project["dependencies"] if each.startswith(name))


def python() -> str:
    return str(BIN / ("python.exe" if os.name == "nt" else "python"))


def pip(*arguments: str) -> list[str]:
    return [python(), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]


def is_done(name: str, key: str) -> bool:
    stamp = STAMPS / name
    return stamp.exists() and stamp.read_text() == key


def mark_done(name: str, key: str) -> None:
    (STAMPS / name).write_text(key)


def step(title: str, command: list[str]) -> None:
    """Run `command` with its output in the log; show that time passes."""
    environ = {"CMAKE_ARGS": NATIVE_BUILD, "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 1)}
    environ.update(os.environ)
    started_s = time.monotonic()
    say(f"{title} ...")
    with LOG.open("a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environ)
        over = threading.Event()
        watcher = threading.Thread(target=show_time, args=(started_s, over), daemon=True)
        watcher.start()
        try:
            code = process.wait()
        finally:
            over.set()
            if process.poll() is None:  # interrupted: it must not go on alone
                process.terminate()
                process.wait()
            watcher.join()
    if code != 0:
        print("".join(LOG.read_text("utf-8", "replace").splitlines(True)[-15:]), file=sys.stderr)
        raise SetupFailed(f"{title}: see the lines above, or all of them in {LOG}")
    say(f"  done in {elapsed(started_s)}")


def show_time(started_s: float, over: threading.Event) -> None:
    """A second's counter on a terminal, a line every half minute elsewhere."""
    if sys.stderr.isatty():
        while not over.wait(1):
            print(f"\r  {elapsed(started_s)}", end="", file=sys.stderr, flush=True)
        print("\r", end="", file=sys.stderr, flush=True)
    else:
        while not over.wait(30):
            say(f"  still working, {elapsed(started_s)}")


def elapsed(started_s: float) -> str:
    seconds = round(time.monotonic() - started_s)
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
