"""The flags that several verbs share, and how they become a configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from edge_assistant.config import Config

_KEYS: Final = {
    "llm": "llm.model",
    "voice": "tts.voice",
    "stt": "stt.model",
    "listen": "turns.listen",
    "input_device": "audio.input_device",
    "output_device": "audio.output_device",
}

_FLAGS: Final = {
    "llm": click.option("--llm", metavar="ID|FILE", help="Language model: an id, or a GGUF file."),
    "voice": click.option("--voice", metavar="ID|FILE", help="Voice: an id, or a Piper voice."),
    "stt": click.option("--stt", metavar="ID|FILE", help="Recogniser: an id, or a model file."),
    "listen": click.option(
        "--listen",
        type=click.Choice(["open", "push", "wake"]),
        help="What opens the ear: nothing, a key, or a phrase.",
    ),
    "input_device": click.option("--input-device", metavar="DEVICE", help="Microphone."),
    "output_device": click.option("--output-device", metavar="DEVICE", help="Loudspeaker."),
}


def takes_config(
    *flags: str, reloads: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a verb the flags for its configuration, and the finished `config` as an argument.

    Args:
        flags: which of `_FLAGS` it has, besides `--config`, `--profile` and `--set`.
        reloads: also give it `reload`, which reads the same layers once more.
    """

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(verb)
        def with_config(
            config_file: Path | None,
            profile: str | None,
            assignments: tuple[str, ...],
            **arguments: Any,
        ) -> Any:
            from edge_assistant.config import load, parse_assignment

            overrides: dict[str, Any] = dict(map(parse_assignment, assignments))
            for flag in flags:
                value = arguments.pop(flag)
                if value is not None:
                    overrides[_KEYS[flag]] = value

            def reload() -> Config:
                return load(config_file, profile, overrides)

            if reloads:
                arguments["reload"] = reload
            return verb(config=reload(), **arguments)

        options = [
            click.option(
                "--config",
                "config_file",
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="Configuration to lay over your own.",
            ),
            click.option("--profile", help="Built-in set of values: starter, desktop, pi, kiosk."),
            click.option(
                "--set",
                "assignments",
                multiple=True,
                metavar="KEY=VALUE",
                help="One value, e.g. turns.max_wait_ms=900; may be repeated.",
            ),
            *(_FLAGS[flag] for flag in flags),
        ]
        decorated: Callable[..., Any] = with_config
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
