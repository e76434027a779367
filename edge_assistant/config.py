"""The configuration: every room's own `Settings`, read in layers.

Later layers win:

1. the defaults in the rooms' `settings.py`
2. a built-in profile (`starter`, `desktop`, `pi`, `kiosk`)
3. the file of the offline bundle that this is installed from (`EDGE_ASSISTANT_BUNDLE_CONFIG`), the
   system's file, then the user's own file (`config_paths`)
4. the file given with `--config`
5. environment variables `EDGE_ASSISTANT_<SECTION>__<KEY>`
6. flags of the command line

Each layer is checked as it is laid on, so that a mistake is reported where it was made, with its
line.
A profile is named by the flag, by `EDGE_ASSISTANT_PROFILE`, or by `profile = "..."` at the top of a
file.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec
import platformdirs

from edge_assistant.audio.settings import Settings as AudioSettings
from edge_assistant.errors import ConfigError
from edge_assistant.llm.settings import Settings as LlmSettings
from edge_assistant.settings_text import to_toml
from edge_assistant.stt.settings import Settings as SttSettings
from edge_assistant.tts.settings import Settings as TtsSettings
from edge_assistant.turn_detector.settings import Settings as TurnDetectorSettings
from edge_assistant.turns.settings import Settings as TurnsSettings
from edge_assistant.vad.settings import Settings as VadSettings

APP_NAME: Final = "edge-assistant"
ENV_PREFIX: Final = "EDGE_ASSISTANT_"
BUNDLE_CONFIG: Final = "EDGE_ASSISTANT_BUNDLE_CONFIG"
"""Set by the program that a bundle's install.sh writes."""
DEFAULT_PROFILE: Final = "starter"
MAX_FILE_BYTES: Final = 256 * 1024
"""A configuration is a page or two; a model given as `--config` by mistake is not read whole."""

Table = dict[str, Any]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One checked configuration; a table of the TOML file for every room."""

    profile: str = DEFAULT_PROFILE
    """Built-in set of values that everything else is laid on: starter, desktop, pi or kiosk."""

    audio: AudioSettings = AudioSettings()
    vad: VadSettings = VadSettings()
    stt: SttSettings = SttSettings()
    turn_detector: TurnDetectorSettings = TurnDetectorSettings()
    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    turns: TurnsSettings = TurnsSettings()

    def with_overrides(self, overrides: Mapping[str, Any]) -> Config:
        """A copy with the dotted keys of `overrides` laid on; a None leaves its key as it is.

        Raises:
            ConfigError: unknown key, wrong type or out of range.
        """
        layer = _Layer("command line", _nested(overrides))
        return _check(_merge(msgspec.to_builtins(self), layer.data), layer)


_CONFIGS: Final = msgspec.json.Decoder(Config)
"""Nothing is decoded with it: it makes msgspec work out the type now, on the thread that imports.
msgspec crashes where two threads first meet a type."""


class _Layer(msgspec.Struct, frozen=True):
    """Values that share one origin."""

    origin: str
    data: Table
    text: str = ""
    """The TOML text, where there is one, so that a mistake can be shown by its line."""

    def at(self, path: tuple[str, ...]) -> str:
        if not self.text:
            return self.origin
        return f"{self.origin}:{_line_of(self.text, path)}"


def config_paths() -> tuple[Path, Path]:
    """The system's file and the user's own; either may be missing."""
    system = (
        Path("/etc") / APP_NAME if os.name == "posix" else platformdirs.site_config_path(APP_NAME)
    )
    return (
        system / "config.toml",
        platformdirs.user_config_path(APP_NAME, appauthor=False) / "config.toml",
    )


def profiles() -> tuple[str, ...]:
    """Names of the built-in profiles, in alphabetical order."""
    folder = resources.files("edge_assistant") / "profiles"
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load(
    path: Path | None = None,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Read all layers.

    Args:
        path: the file of `--config`; it must exist. The files of `config_paths` may be missing.
        profile: name of a built-in profile; None takes it from the environment or the files.
        overrides: dotted keys and values, as flags give them; a None counts as not given.
        environ: the environment, here so that a test can give its own.

    Raises:
        ConfigError: a file that cannot be read or is not TOML, an unknown key, a wrong value. The
            message names the file and line or the variable, and the nearest key that exists.
    """
    bundled = [Path(name) for name in (environ.get(BUNDLE_CONFIG),) if name]
    files = [_read_file(each) for each in (*bundled, *config_paths()) if each.is_file()]
    if path is not None:
        files.append(_read_file(path))
    layers = [*files, _environment(environ), _Layer("command line", _nested(overrides or {}))]
    for layer in layers:
        _reject_unknown_keys(layer)
    named = (layer for layer in reversed(layers) if isinstance(layer.data.get("profile"), str))
    source = next(named, _Layer("default", {"profile": DEFAULT_PROFILE}))
    if profile is not None:
        source = _Layer("--profile", {"profile": profile})
    chosen = source.data["profile"]

    merged: Table = {}
    config = Config()
    for layer in [_profile(chosen, source), *layers]:
        merged = _merge(merged, layer.data)
        config = _check(merged, layer)
    return msgspec.structs.replace(config, profile=chosen)


def load_profile(name: str | None = None) -> Config:
    """A built-in profile alone, without any file or variable.

    Raises:
        ConfigError: no such profile.
    """
    chosen = name or DEFAULT_PROFILE
    layer = _profile(chosen, _Layer("--profile", {}))
    return msgspec.structs.replace(_check(layer.data, layer), profile=chosen)


def dump(config: Config) -> str:
    """The configuration as TOML text that `load` reads back."""
    return to_toml(config)


def template(config: Config) -> str:
    """A file to edit: every key explained and switched off, but for the profile they come from."""
    text = to_toml(config, to_edit=True).replace("#profile = ", "profile = ", 1)
    return f"# edge-assistant: take the # from a key to set it.\n{text}"


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `section.key=value`, the form of `--set`, and read the value as the key's type.

    Raises:
        ConfigError: no `=`, unknown key, wrong value.
    """
    key, equals, raw = text.partition("=")
    key = key.strip()
    if not equals:
        raise ConfigError(
            "config-value",
            f"`{text}` has no `=`",
            "write --set section.key=value, e.g. turns.listen=push",
        )
    return key, _read_value(raw.strip(), tuple(key.split(".")), f"--set {key}")


def _read_file(path: Path) -> _Layer:
    hint = "`edge-assistant config init --print` shows a file with every key and its default"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError("config-not-toml", f"{path} is too large for a configuration", hint)
        text = path.read_bytes().decode("utf-8-sig")  # some editors begin with a mark
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError("config-unreadable", f"cannot read {path}: {reason}", hint) from error
    except UnicodeDecodeError as error:
        raise ConfigError("config-not-toml", f"{path} is not UTF-8 text", hint) from error
    try:
        return _Layer(str(path), tomllib.loads(text), text)
    except RecursionError as error:
        raise ConfigError("config-not-toml", f"{path}:1: nested too deeply", hint) from error
    except ValueError as error:  # TOMLDecodeError, and a number with too many digits
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError("config-not-toml", f"{path}:{line}: not TOML: {reason}", hint) from error


def _profile(name: str, source: _Layer) -> _Layer:
    if name not in profiles():
        raise ConfigError(
            "config-profile",
            f"{source.at(('profile',))}: no profile is called `{name}`",
            _suggestion(name, profiles()) or f"the profiles are {', '.join(profiles())}",
        )
    entry = resources.files("edge_assistant") / "profiles" / f"{name}.toml"
    text = entry.read_text("utf-8")
    return _Layer(f"profile {name}", tomllib.loads(text), text)


def _environment(environ: Mapping[str, str]) -> _Layer:
    """Variables with a double underscore; others, like `EDGE_ASSISTANT_OFFLINE`, are no keys."""
    flat: Table = {}
    for name in sorted(environ):
        rest = name.removeprefix(ENV_PREFIX)
        if rest == name or ("__" not in rest and rest != "PROFILE"):
            continue
        path = tuple(part.lower() for part in rest.split("__"))
        flat[".".join(path)] = _read_value(environ[name], path, name)
    return _Layer("environment", _nested(flat))


def _read_value(raw: str, path: tuple[str, ...], origin: str) -> Any:
    """Text from a place that knows no types: taken as the key's own type, else as a TOML value."""
    expected = _type_of(path, origin)
    try:
        return msgspec.to_builtins(msgspec.convert(raw, expected, strict=False))
    except msgspec.ValidationError as error:
        problem = error
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
        return msgspec.to_builtins(msgspec.convert(value, expected))
    except (ValueError, RecursionError):
        raise ConfigError(
            "config-value", f"{origin}: {_readable(problem)}, and the value was `{raw}`", _HINT_KEYS
        ) from problem


_HINT_KEYS: Final = "`edge-assistant config init --print` shows every key with its range"


def _check(data: Table, layer: _Layer) -> Config:
    _reject_unknown_keys(layer)
    try:
        return msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        path = _path_in(str(error))
        name = f"{'.'.join(path)}: " if path else ""
        raise ConfigError(
            "config-value", f"{layer.at(path)}: {name}{_readable(error)}", _HINT_KEYS
        ) from error


def _reject_unknown_keys(layer: _Layer) -> None:
    for path, known in _unknown_keys(layer.data, Config, ()):
        key, section = path[-1], ".".join(path[:-1])
        where = f"in [{section}]" if section else "at the top level"
        homes = [full for full in known_keys() if full.rpartition(".")[2] == key]
        home = f"did you mean `{homes[0]}`?" if len(homes) == 1 else ""
        hint = home or _suggestion(key, known) or _HINT_KEYS
        raise ConfigError(
            "config-unknown-key", f"{layer.at(path)}: unknown key `{key}` {where}", hint
        )


def _unknown_keys(
    data: Table, struct: type[msgspec.Struct], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    hints = get_type_hints(struct)
    for key, value in data.items():
        if key not in hints:
            yield (*path, key), list(hints)
        elif _is_struct(hints[key]) and isinstance(value, dict):
            yield from _unknown_keys(value, hints[key], (*path, key))


def known_keys(struct: type[msgspec.Struct] = Config, prefix: str = "") -> list[str]:
    """Dotted names of all keys."""
    names: list[str] = []
    for key, kind in get_type_hints(struct).items():
        names += known_keys(kind, f"{prefix}{key}.") if _is_struct(kind) else [f"{prefix}{key}"]
    return names


def _type_of(path: tuple[str, ...], origin: str) -> Any:
    kind: Any = Config
    for depth, key in enumerate(path):
        hints = get_type_hints(kind, include_extras=True) if _is_struct(kind) else {}
        if key not in hints:
            name = ".".join(path)
            near = _suggestion(name, known_keys()) or _suggestion(key, list(hints))
            where = f"in [{'.'.join(path[:depth])}]" if depth else "at the top level"
            raise ConfigError(
                "config-unknown-key", f"{origin}: unknown key `{key}` {where}", near or _HINT_KEYS
            )
        kind = hints[key]
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _suggestion(word: str, candidates: tuple[str, ...] | list[str]) -> str:
    near = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def _path_in(problem: str) -> tuple[str, ...]:
    """Where msgspec says that it is wrong: `... - at `$.turns.stop_phrases[0]``."""
    found = re.search(r" - at `\$\.?([\w.]*)", problem)
    return tuple(part for part in found[1].split(".") if part) if found else ()


def _readable(problem: Exception) -> str:
    text = re.sub(r" - at `\$.*$", "", str(problem))
    return text[:1].lower() + text[1:]


def _merge(below: Table, above: Mapping[str, Any]) -> Table:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value)
        merged[key] = value
    return merged


def _nested(flat: Mapping[str, Any]) -> Table:
    table: Table = {}
    for key, value in flat.items():
        if value is not None:
            *sections, name = key.split(".")
            inner = table
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[name] = value
    return table


def _line_of(text: str, path: tuple[str, ...]) -> int:
    """First line of the statement that sets `path`, found with the TOML parser itself.

    A file up to the end of a statement is a file, so this is where a prefix first knows the path.
    """
    lines = text.split("\n")

    def readable_prefix(count: int) -> tuple[int, Table]:
        while count:
            try:
                return count, tomllib.loads("\n".join(lines[:count]))
            except ValueError:
                count -= 1
        return 0, {}

    def knows(data: Any) -> bool:
        for key in path:
            if not isinstance(data, dict) or key not in data:
                return False
            data = data[key]
        return True

    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        if knows(readable_prefix(middle)[1]):
            high = middle
        else:
            low = middle + 1
    return readable_prefix(low - 1)[0] + 1 if low else 1
