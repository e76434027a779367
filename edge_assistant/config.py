"""The configuration: every room's own `Settings`, read in layers.

Later layers win:

1. the defaults in the rooms' `settings.py`
2. a built-in profile (`starter`, `desktop`, `pi`, `kiosk`)
3. the file of the offline bundle that this is installed from (`EDGE_ASSISTANT_BUNDLE_CONFIG`), the
   system's file, its file of locked settings, then the user's own file (`config_paths`)
4. the file given with `--config`
5. environment variables `EDGE_ASSISTANT_<SECTION>__<KEY>`
6. flags of the command line

Each layer is checked as it is laid on, so that a mistake is reported where it was made, with its
line.
What is locked (`locked`, and every key in the file of locked settings) no later layer can change,
nor can a program or a reload: locks are for whoever looks after the machine.
A profile is named by the flag, by `EDGE_ASSISTANT_PROFILE`, or by `profile = "..."` at the top of a
file.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec
import platformdirs
from msgspec import structs

from edge_assistant.audio.settings import Settings as AudioSettings
from edge_assistant.errors import ConfigError
from edge_assistant.gpio.settings import Settings as GpioSettings
from edge_assistant.layers import Layer, Table, is_roots, is_there, merge, nested, read_file
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


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One checked configuration; a table of the TOML file for every room."""

    profile: str = DEFAULT_PROFILE
    """Built-in set of values that everything else is laid on: starter, desktop, pi or kiosk."""

    locked: dict[str, str] = {}
    """Keys that no later layer can change, each with who locked it. A file may give a list of keys
    or sections, such as `["llm", "turns.listen"]`, or `["*"]` for all."""

    audio: AudioSettings = AudioSettings()
    vad: VadSettings = VadSettings()
    stt: SttSettings = SttSettings()
    turn_detector: TurnDetectorSettings = TurnDetectorSettings()
    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    turns: TurnsSettings = TurnsSettings()
    gpio: GpioSettings = GpioSettings()

    def with_overrides(self, overrides: Mapping[str, Any]) -> Config:
        """A copy with the dotted keys of `overrides` laid on; a None leaves its key as it is.

        Raises:
            ConfigError: unknown key, wrong type, out of range, or locked.
        """
        layer = Layer("command line", nested(overrides))
        changed = _check(merge(msgspec.to_builtins(self), layer.data), layer)
        self.refuse_locked(changed, layer)
        return changed

    def refuse_locked(self, changed: Config, *layers: Layer) -> None:
        """Raise if `changed` differs from this in a key that is locked here.

        Args:
            changed: what is to take the place of this.
            layers: where it may come from, the last to win at the end; the error names the one.

        Raises:
            ConfigError: `config-locked`.
        """
        for key, who in sorted(self.locked.items(), key=lambda lock: lock[0] != "profile"):
            path = tuple(key.split("."))
            if _value_at(self, path) == _value_at(changed, path):
                continue
            places = (path, ("profile",))
            origins = (each.at(at) for at in places for each in reversed(layers) if each.knows(at))
            origin = next(origins, "")
            raise ConfigError(
                "config-locked",
                f"{origin}{': ' if origin else ''}`{key}` is locked by {who}",
                "take the key out there, or ask whoever looks after this machine",
            )


_CONFIGS: Final = msgspec.json.Decoder(Config)
"""Nothing is decoded with it: it makes msgspec work out the type now, on the thread that imports.
msgspec crashes where two threads first meet a type."""


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
    flag = [] if profile is None else [Layer("--profile", {"profile": profile})]
    layers = [
        *_files(path, environ),
        _environment(environ),
        Layer("command line", nested(overrides or {})),
        *flag,
    ]
    for layer in layers:
        _reject_unknown_keys(layer)
    layers = [_with_locks(layer) for layer in layers]
    config = _laid(layers)
    for count, layer in enumerate(layers, 1):
        if layer.data.get("locked"):
            below = [each for each in layers[:count] if each is layer or not each.is_anybodys]
            others = [each for each in layers if each not in below]
            _laid(below).refuse_locked(config, *others)
    return config


def locked_path() -> Path:
    """The system's file of locked settings, which need not be there: what it sets is locked."""
    return config_paths()[0].with_name("locked.toml")


def _files(given: Path | None, environ: Mapping[str, str]) -> list[Layer]:
    system, own = config_paths()
    layers = [read_file(each) for each in (system,) if each.is_file()]
    bundled = Path(environ.get(BUNDLE_CONFIG) or os.devnull)
    if bundled.is_file():  # an environment can name any file: locks hold against those of others
        found = read_file(bundled)
        layers.insert(0, structs.replace(found, is_anybodys=not is_roots(bundled)))
    if is_there(locked_path()):  # one that cannot be read must not count as none
        locked = read_file(locked_path())
        layers.append(structs.replace(locked, is_locked=True))
    if own.is_file():
        layers.append(read_file(own))
    return [*layers, read_file(given)] if given is not None else layers


def _with_locks(layer: Layer) -> Layer:
    """`layer` with its locks as the configuration keeps them: each key, and who locked it."""
    given = layer.data.get("locked", [])
    if isinstance(given, dict) and not layer.is_locked:
        return layer
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ConfigError(
            "config-value",
            f"{layer.at(('locked',))}: `locked` is not a list of keys",
            'write e.g. locked = ["llm", "turns.listen"]',
        )
    paths = ((key, tuple(key.split("."))) for key in known_keys() if layer.is_locked)
    locks = {key: layer.at(path) for key, path in paths if layer.knows(path)}
    for name in given:
        keys = [key for key in known_keys() if name in ("*", key) or key.startswith(f"{name}.")]
        if not keys:
            raise ConfigError(
                "config-unknown-key",
                f"{layer.at(('locked',))}: unknown key `{name}` in `locked`",
                _suggestion(name, known_keys()) or _HINT_KEYS,
            )
        locks = {key: layer.at(("locked",)) for key in keys} | locks
    locks.pop("locked", None)
    return structs.replace(layer, data=layer.data | {"locked": locks})


def _laid(layers: Sequence[Layer]) -> Config:
    """All layers on the profile that the last of them to name one names."""
    named = (layer for layer in reversed(layers) if isinstance(layer.data.get("profile"), str))
    source = next(named, Layer("default", {"profile": DEFAULT_PROFILE}))
    chosen = source.data["profile"]
    locked: dict[str, str] = {}

    merged: Table = {}
    config = Config()
    for layer in [_profile(chosen, source), *layers]:
        merged = merge(merged, layer.data)
        config = _check(merged, layer)
        locked = config.locked | locked  # who was first to lock a key is told
    return structs.replace(config, profile=chosen, locked=locked)


def load_profile(name: str | None = None, path: Path | None = None) -> Config:
    """A built-in profile, with the file `path` laid on it if there is one, and nothing else.

    Raises:
        ConfigError: no such profile; as `load` for the file.
    """
    file = [_with_locks(read_file(path))] if path is not None else []
    return _laid([*file, Layer("--profile", {"profile": name or DEFAULT_PROFILE})])


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


def _profile(name: str, source: Layer) -> Layer:
    if name not in profiles():
        raise ConfigError(
            "config-profile",
            f"{source.at(('profile',))}: no profile is called `{name}`",
            _suggestion(name, profiles()) or f"the profiles are {', '.join(profiles())}",
        )
    entry = resources.files("edge_assistant") / "profiles" / f"{name}.toml"
    text = entry.read_text("utf-8")
    return Layer(f"profile {name}", tomllib.loads(text), text)


def _environment(environ: Mapping[str, str]) -> Layer:
    """Variables with a double underscore; others, like `EDGE_ASSISTANT_OFFLINE`, are no keys."""
    flat: Table = {}
    for name in sorted(environ):
        rest = name.removeprefix(ENV_PREFIX)
        if rest == name or ("__" not in rest and rest != "PROFILE"):
            continue
        path = tuple(part.lower() for part in rest.split("__"))
        flat[".".join(path)] = _read_value(environ[name], path, name)
    return Layer("environment", nested(flat))


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


def _check(data: Table, layer: Layer) -> Config:
    _reject_unknown_keys(layer)
    try:
        return msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        path = _path_in(str(error))
        name = f"{'.'.join(path)}: " if path else ""
        raise ConfigError(
            "config-value", f"{layer.at(path)}: {name}{_readable(error)}", _HINT_KEYS
        ) from error


def _reject_unknown_keys(layer: Layer) -> None:
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


def _value_at(config: Config, path: tuple[str, ...]) -> Any:
    value: Any = config
    for key in path:
        value = getattr(value, key)
    return value


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
