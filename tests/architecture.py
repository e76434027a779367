"""The plan of the house, enforced: who may import whom, how long things get, what nobody does."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = "edge_assistant"
FOLDERS: Final = (PACKAGE, "quantize", "packaging")

MAX_MODULE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 60
MAX_BROAD_EXCEPTS: Final = 8
"""The three of `borders`, two kinds of callbacks from C, the card's listeners, two programs."""

BROAD: Final = ("Exception", "BaseException")

LEAVES: Final = {
    "errors",
    "clock",
    "cancel",
    "trace",
    "borders",
    "atomic",
    "onnx",
    "audio.format",
    "places",
}
ENGINE_ROOMS: Final = {"audio", "vad", "stt", "turn_detector", "llm", "tts"}
VALUES: Final = {f"{room}.protocol" for room in ENGINE_ROOMS}
SETTINGS: Final = {f"{room}.settings" for room in (*ENGINE_ROOMS, "turns", "gpio")}

MAY_IMPORT: Final[dict[str, set[str]]] = {
    "__init__": set(),
    "errors": set(),
    "clock": set(),
    "cancel": set(),
    "trace": {"errors", "clock"},
    "borders": {"errors"},
    "atomic": set(),
    "places": set(),
    "onnx": {"errors", "cancel", "borders"},
    "settings_text": set(),
    **dict.fromkeys(ENGINE_ROOMS, LEAVES),
    "store": LEAVES,
    "turns": LEAVES | VALUES,
    "notices": LEAVES,
    "gpio": LEAVES,
    "skills": LEAVES | VALUES | {"turns"},
    "layers": {"errors"},
    "config": {"errors", "settings_text", "layers"} | SETTINGS,
    "pipeline": LEAVES | ENGINE_ROOMS | {"turns", "skills", "store", "config", "notices"},
    "bench": LEAVES | {"audio", "config"},
    "engine_bench": LEAVES
    | ENGINE_ROOMS
    | {"__init__", "store", "config", "pipeline.engines"}
    | {f"bench.{module}" for module in ("machine", "runner", "clips")}
    | {f"bench.metrics.{module}" for module in ("statistics", "values")},
    "service": LEAVES | SETTINGS | {"store", "config"},
    "fit": LEAVES
    | {"store", "config", "engine_bench", "pipeline.load", "pipeline.scheduler", "stt.whispercpp"}
    | {"bench.machine", "bench.scenarios.texts"},
    "examples": LEAVES | ENGINE_ROOMS | {"store", "config", "pipeline"},
    "cli": LEAVES
    | ENGINE_ROOMS
    | {"__init__", "turns", "skills", "store", "config", "settings_text", "pipeline", "bench"}
    | {"engine_bench", "fit", "service", "notices", "gpio"},
    "__main__": {"cli"},
}
"""What each room may import besides itself: a whole room, or one module of it."""

WORKSHOP: Final = "edge_assistant_quantize"
WORKSHOP_ROOMS: Final = {"llm", "llama", "whisper", "onnx_models", "compare"}
"""None imports another; the modules beside them serve all."""
WORKSHOP_MAY_IMPORT: Final = (
    LEAVES | ENGINE_ROOMS | {"__init__", "store", "bench", "engine_bench", "pipeline.engines"}
)

SHIPPING: Final = "edge_assistant_packaging"

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
    "gpiozero",
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


def workshop_edges(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    """The workshop stands on the runtime, never the other way; its rooms stand side by side."""
    is_inside = WORKSHOP in path.parts
    room = path.parts[2] if is_inside and len(path.parts) > 3 else ""
    if room not in WORKSHOP_ROOMS | {""}:
        yield f"1: `{room}` is a room of the workshop that the plan does not know"
    for line, target in workshop_imports(tree):
        its_room = target.partition(".")[0]
        if not is_inside and path.parts[:2] != (PACKAGE, "cli"):
            yield f"{line}: {path.parts[1]} imports the workshop"
        elif is_inside and its_room in WORKSHOP_ROOMS - {room}:
            yield f"{line}: {room or path.stem} imports {target} of the workshop"
    for line, target in our_imports(tree, path) if is_inside else ():
        if not {target, target.partition(".")[0]} & WORKSHOP_MAY_IMPORT:
            yield f"{line}: the workshop imports {target}"


def workshop_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every import of the workshop in a module, as `room.module` or `module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module == WORKSHOP:
                for alias in node.names:
                    yield node.lineno, alias.name
            elif node.module.startswith(f"{WORKSHOP}."):
                yield node.lineno, node.module.removeprefix(f"{WORKSHOP}.")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == WORKSHOP:
                    yield node.lineno, alias.name.removeprefix(WORKSHOP).removeprefix(".")


def shipping_edges(path: Path, text: str, tree: ast.Module) -> Iterator[str]:
    """What ships stands on the runtime; of the runtime only the command line knows it."""
    if SHIPPING in path.parts or path.parts[:2] == (PACKAGE, "cli"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name.partition(".")[0] == SHIPPING for name in names):
            yield f"{node.lineno}: {path.parts[1]} imports what ships it"


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
    workshop_edges,
    shipping_edges,
    engines_when_used,
    calls,
    names,
    reasons_for_broad_excepts,
)
