"""The plan of the house, enforced: who may import whom, how long things get, what nobody does."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = "edge_assistant"
FOLDERS: Final = (PACKAGE, "quantize", "packaging")

MAX_MODULE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 60
MAX_BROAD_EXCEPTS: Final = 8
"""The three of `borders`, two kinds of callbacks from C, the card's listeners, two programs."""

BROAD: Final = ("Exception", "BaseException")

LEAVES: Final = {"errors", "clock", "cancel", "trace", "borders", "atomic", "onnx", "audio.format"}
ENGINE_ROOMS: Final = {"audio", "vad", "stt", "turn_detector", "llm", "tts"}
VALUES: Final = {f"{room}.protocol" for room in ENGINE_ROOMS}
SETTINGS: Final = {f"{room}.settings" for room in (*ENGINE_ROOMS, "turns")}

MAY_IMPORT: Final[dict[str, set[str]]] = {
    "__init__": set(),
    "errors": set(),
    "clock": set(),
    "cancel": set(),
    "trace": {"errors", "clock"},
    "borders": {"errors"},
    "atomic": set(),
    "onnx": {"errors", "cancel", "borders"},
    "settings_text": set(),
    **dict.fromkeys(ENGINE_ROOMS, LEAVES),
    "store": LEAVES,
    "turns": LEAVES | VALUES,
    "skills": LEAVES | VALUES | {"turns"},
    "config": {"errors", "settings_text"} | SETTINGS,
    "pipeline": LEAVES | ENGINE_ROOMS | {"turns", "skills", "store", "config"},
    "bench": LEAVES | {"audio", "config"},
    "engine_bench": LEAVES
    | ENGINE_ROOMS
    | {"__init__", "store", "config", "pipeline.engines"}
    | {f"bench.{module}" for module in ("machine", "runner", "clips")}
    | {f"bench.metrics.{module}" for module in ("statistics", "values")},
    "fit": LEAVES
    | {"store", "config", "engine_bench", "pipeline.load", "pipeline.scheduler", "stt.whispercpp"}
    | {"bench.machine", "bench.scenarios.texts"},
    "examples": LEAVES | ENGINE_ROOMS | {"store", "config", "pipeline"},
    "cli": LEAVES
    | ENGINE_ROOMS
    | {"__init__", "turns", "skills", "store", "config", "settings_text", "pipeline", "bench"}
    | {"engine_bench", "fit"},
    "__main__": {"cli"},
}
"""What each room may import besides itself: a whole room, or one module of it."""

ENGINES: Final = {
    "onnxruntime",
    "llama_cpp",
    "pywhispercpp",
    "_pywhispercpp",
    "piper",
    "espeakng_loader",
    "webrtcvad",
    "pywebrtc_audio",
    "soxr",
    "soundfile",
    "sounddevice",
    "moonshine_voice",
    "onnx",
}
LOADED_ONLY_WHEN_USED: Final = ENGINES | {"numpy", "requests", "rich", "msgspec"}

ONE_THREADED: Final = {"bench", "cli", "engine_bench"}
"""Rooms whose files are read by one thread."""

Rule = Callable[[Path, str, ast.Module], Iterator[str]]


def sources(root: Path) -> Iterator[Path]:
    """All modules under the folders that hold our code."""
    for folder in FOLDERS:
        yield from sorted((root / folder).rglob("*.py"))


def breaches(root: Path) -> list[str]:
    """Everything in the tree at `root` that is against a rule, as `path:line: what`."""
    found: list[str] = []
    broad = 0
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        text = path.read_text("utf-8")
        tree = ast.parse(text, name)
        for rule in RULES:
            found += [f"{name}:{breach}" for breach in rule(path.relative_to(root), text, tree)]
        broad += sum(1 for _ in broad_excepts(tree))
    if broad > MAX_BROAD_EXCEPTS:
        found.append(f"{broad} broad excepts in all, {MAX_BROAD_EXCEPTS} allowed")
    return found


def sizes(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    lines = text.count("\n")
    if lines > MAX_MODULE_LINES:
        yield f"1: module of {lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.lineno}: {node.name} has {length} lines"


def import_edges(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    if path.parts[0] != PACKAGE:
        return
    room = path.parts[1] if len(path.parts) > 2 else path.stem
    if room not in MAY_IMPORT:
        yield f"1: `{room}` is a room that the plan does not know"
        return
    for line, target in our_imports(tree, path):
        its_room = target.partition(".")[0]
        allowed = MAY_IMPORT[room]
        if its_room != room and its_room not in allowed and target not in allowed:
            yield f"{line}: {room} imports {target}"


def our_imports(tree: ast.Module, path: Path) -> Iterator[tuple[int, str]]:
    """Every import of ours anywhere in a module, as `room.module`; a bare name is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, f"(relative import in {path.name})"
            elif node.module == PACKAGE:
                for alias in node.names:
                    is_attribute = alias.name.startswith("__")
                    yield node.lineno, "__init__" if is_attribute else alias.name
            elif node.module is not None and node.module.startswith(f"{PACKAGE}."):
                module = node.module.removeprefix(f"{PACKAGE}.")
                if "." in module or (ROOT / PACKAGE / f"{module}.py").exists():
                    yield node.lineno, module
                else:  # `from edge_assistant.room import module`
                    for alias in node.names:
                        yield node.lineno, f"{module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(f"{PACKAGE}."):
                    yield node.lineno, alias.name.removeprefix(f"{PACKAGE}.")


def engines_when_used(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    """An engine is imported by the function that needs it, not by the module."""
    if path.parts[0] != PACKAGE:
        return
    for node in at_import(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.partition(".")[0] in ENGINES:
                yield f"{node.lineno}: {name} is imported with the module"


def at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        for handler in getattr(node, "handlers", []):
            waiting += handler.body


def calls(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    is_program = 'if __name__ == "__main__":' in text
    may_print = path.parts[0] != PACKAGE or path.parts[1] == "cli" or is_program
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name == "print" and not may_print:
            yield f"{node.lineno}: print outside the command line"
        if name == "time.time":
            yield f"{node.lineno}: time.time(): durations are monotonic, dates are datetime"
        if name.rpartition(".")[2] in ("Queue", "LifoQueue", "PriorityQueue"):
            sizes_given = [*node.args, *(k.value for k in node.keywords if k.arg == "maxsize")]
            if not sizes_given or ast.unparse(sizes_given[0]) == "0":
                yield f"{node.lineno}: {name}() without a bound"
        if name.rpartition(".")[2] == "SimpleQueue":
            yield f"{node.lineno}: a SimpleQueue has no bound"


def names(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    """Durations end in `_ms` or `_s`."""
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        elif isinstance(node, ast.FunctionDef):
            name = node.name
        if name.lower().endswith(("_sec", "_secs", "_seconds", "_millis", "_msec")):
            yield f"{getattr(node, 'lineno', 1)}: {name} does not end in _s or _ms"


def reasons_for_broad_excepts(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    lines = text.split("\n")
    for handler in broad_excepts(tree):
        around = lines[max(0, handler.lineno - 2) : handler.lineno + 1]
        if not any("#" in line for line in around):
            yield f"{handler.lineno}: a broad except without a reason beside it"


def broad_excepts(tree: ast.Module) -> Iterator[ast.ExceptHandler]:
    """Also those that raise again: what only cleans up is a `finally` or an `ExitStack`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if any(each is None or ast.unparse(each) in BROAD for each in types):
            yield node


def types_met_early(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    """msgspec crashes where two threads first meet a type, so a decoder meets it at import."""
    if len(path.parts) > 1 and path.parts[1] in ONE_THREADED:
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "msgspec.json.decode":
            yield f"{node.lineno}: decode with a msgspec.json.Decoder of the module's own"
        if called == "msgspec.convert" and ast.unparse(node.args[1]).lstrip("_")[0].isupper():
            name = ast.unparse(node.args[1])
            if f"= msgspec.json.Decoder({name})" not in text:
                yield f"{node.lineno}: no decoder of the module's own for {name}"


RULES: Final[tuple[Rule, ...]] = (
    types_met_early,
    sizes,
    import_edges,
    engines_when_used,
    calls,
    names,
    reasons_for_broad_excepts,
)


def test_the_house_is_as_planned() -> None:
    assert breaches(ROOT) == []


def test_no_package_of_ours_hides_another() -> None:
    """`packaging` is also the name of a package that half of the tools import."""
    for folder in ("models", "quantize", "packaging"):
        assert not (ROOT / folder / "__init__.py").exists()


BROKEN: Final = {
    "sibling": ("vad/x.py", "from edge_assistant.stt.protocol import Transcript\n", "vad imports"),
    "sibling room": ("vad/x.py", "from edge_assistant import stt\n", "vad imports stt"),
    "nested": ("llm/x.py", "def f():\n    import edge_assistant.store.store\n", "llm imports"),
    "upwards": ("turns/x.py", "from edge_assistant.pipeline import assistant\n", "turns imports"),
    "not a value": ("turns/x.py", "from edge_assistant.stt import moonshine\n", "turns imports"),
    "config": ("llm/x.py", "from edge_assistant.config import Config\n", "llm imports config"),
    "relative": ("llm/x.py", "from . import prompt\n", "llm imports (relative"),
    "examiner": ("bench/x.py", "from edge_assistant.turns import floor\n", "bench imports turns"),
    "new room": ("attic/x.py", "", "a room that the plan does not know"),
    "engine": (
        "stt/x.py",
        "try:\n    import onnxruntime as ort\nexcept ImportError:\n    pass\n",
        "with the module",
    ),
    "long module": ("stt/x.py", "x = 1\n" * 401, "module of 401 lines"),
    "long function": ("stt/x.py", "def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
    "print": ("stt/x.py", "print(1)\n", "print outside"),
    "wall clock": ("stt/x.py", "import time\nt = time.time()\n", "time.time()"),
    "queue": ("stt/x.py", "import queue\nq = queue.Queue()\n", "without a bound"),
    "queue of 0": ("stt/x.py", "import queue\nq = queue.Queue(maxsize=0)\n", "without a bound"),
    "name": ("stt/x.py", "def f(wait_sec):\n    return wait_sec\n", "wait_sec does not end"),
    "late type": ("stt/x.py", "x = msgspec.json.decode(b'', type=A)\n", "a msgspec.json.Decoder"),
    "late convert": ("stt/x.py", "x = msgspec.convert(raw, A)\n", "no decoder of the module's"),
    "broad": ("stt/x.py", "try:\n    x = 1\nexcept Exception:\n    pass\n", "without a reason"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_breach_is_found(tmp_path: Path, case: str) -> None:
    place, text, expected = BROKEN[case]
    file = tmp_path / PACKAGE / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    (breach,) = breaches(tmp_path)
    assert breach.startswith(f"{PACKAGE}/{place}:")
    assert expected in breach


@pytest.mark.parametrize(
    "handler",
    [
        "except Exception:  # why\n    pass\n",
        "except BaseException:  # why\n    raise\n",
        "except (OSError, Exception):  # why\n    pass\n",
        "except:  # why\n    raise\n",
    ],
)
def test_too_many_broad_excepts_are_found(tmp_path: Path, handler: str) -> None:
    file = tmp_path / PACKAGE / "stt" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(f"try:\n    x = 1\n{handler}" * (MAX_BROAD_EXCEPTS + 1))
    (breach,) = breaches(tmp_path)
    assert "broad excepts in all" in breach


def test_sound_code_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / PACKAGE / "pipeline" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import queue\n"
        "from edge_assistant import config, stt\n"
        "from edge_assistant.turns.floor import step\n"
        "def f():\n"
        "    import onnxruntime\n"
        "    wait_s = 1.0\n"
        "    return queue.Queue(8), queue.Queue(maxsize=8)\n"
    )
    assert breaches(tmp_path) == []


@pytest.mark.parametrize(
    "program",
    [
        "import edge_assistant",
        "from edge_assistant.cli.main import run_command; assert run_command(['--help']) == 0",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(program: str) -> None:
    """`import edge_assistant` costs nothing, and `--help` answers at once."""
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{program}\nimport json, sys; print(json.dumps(list(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    loaded = {name.partition(".")[0] for name in json.loads(child.stdout.splitlines()[-1])}
    assert loaded & LOADED_ONLY_WHEN_USED == set()
