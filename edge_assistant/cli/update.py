"""`edge-assistant update`: from one bundle to the next, without trust in the wire."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge_assistant.cli import output
from edge_assistant.cli.shipping import shipping
from edge_assistant.cli.vendor_key import (
    FILE,
    PASSWORD,
    PUBLIC,
    PUBLIC_WORD,
    key_pair,
    public_key_of,
)
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant_packaging.updates.catalog import Line
    from edge_assistant_packaging.updates.judge import Installed
    from edge_assistant_packaging.updates.updater import Answer, Updater

_DAY_S: Final = 86_400
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")

_ASKS: Final = (
    click.option(
        "--source", required=True, metavar="URL|FOLDER", help="Where updates.json is. Not trusted."
    ),
    PUBLIC,
    PUBLIC_WORD,
    click.option("--channel", default="stable", show_default=True, help="Whose catalogs."),
    click.option(
        "--installed",
        type=FILE,
        metavar="PLACE",
        help="What is installed: its folder, manifest.json or bundle. Without it, what this is.",
    ),
    click.option("--name", help="Where nothing is installed: which product."),
    click.option("--platform", help="Where nothing is installed: for which machine."),
    click.option("--profile", help="Where nothing is installed: with which values."),
    click.option("--state", type=FILE, metavar="FILE", help="What was seen of catalogs so far."),
    click.option(
        "--expired",
        type=click.Choice(["refuse", "warn"]),
        default="refuse",
        show_default=True,
        help="What to do with a catalog past its time.",
    ),
    click.option("--allow-network", is_flag=True, help="Although EDGE_ASSISTANT_OFFLINE is set."),
)


def _asks(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_ASKS):
        command = option(command)
    return command


@click.group()
def update() -> None:
    """Look for a newer bundle, and bring it.

    A catalog signed by the vendor says what there is. A server, or who stands between, can keep an
    update from you for as long as the catalog is valid, and nothing else: what is older than what
    was seen, changed, or meant for another machine is refused.
    """


@update.command()
@_asks
@_JSON
def check(as_json: bool, **asked: Any) -> None:
    """Say whether there is a newer bundle. Fetches the catalog only."""
    _, answer, installed = _checked(asked)
    if as_json:
        output.emit(_told(answer, installed))
        return
    _tell(answer, installed)


@update.command()
@_asks
@click.option("-o", "--output", "target", type=FILE, required=True, help="The bundle to make.")
@click.option(
    "--have", type=FILE, metavar="BUNDLE", help="The bundle you have: perhaps a delta will do."
)
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@_JSON
def fetch(target: Path, have: Path | None, overwrite: bool, as_json: bool, **asked: Any) -> None:
    """Bring the newer bundle, if there is one, and check every byte of it. Installs nothing.

    What came before a break is kept, and the next call goes on from there.
    """
    updater, answer, installed = _checked(asked)
    if answer.offer is None:
        if as_json:
            output.emit({**_told(answer, installed), "bundle": None})
        else:
            _tell(answer, installed)
        return
    if answer.warning:
        output.note(f"warning: {answer.warning}")
    fetched = updater.fetch(answer, target, have=have, overwrite=overwrite)
    if as_json:
        output.emit(
            {
                **_told(answer, installed),
                "bundle": str(fetched.path),
                "size_bytes": fetched.size_bytes,
                "came_bytes": fetched.came_bytes,
                "is_by_delta": fetched.is_by_delta,
            }
        )
        return
    click.echo(str(fetched.path))
    how = "by a delta of" if fetched.is_by_delta else "whole,"
    output.note(
        f"ok  {fetched.manifest.comment}, {how} {fetched.came_bytes / 1e6:.1f} MB; "
        f"unpack it with: edge-assistant bundle unpack {fetched.path} FOLDER -p KEY"
    )


@update.command()
@click.argument("folder", type=FILE)
@click.option("-s", "--secret-key", type=FILE, required=True, help="The key of the bundles.")
@PASSWORD
@click.option("--channel", default="stable", show_default=True)
@click.option("--days", type=click.FloatRange(0.001, 3650), default=30.0, show_default=True)
@click.option(
    "--floor",
    "floors",
    multiple=True,
    metavar="NAME:PLATFORM:PROFILE:BUILD",
    help="Nothing below that build may be installed any more.",
)
@_JSON
def catalog(
    folder: Path,
    secret_key: Path,
    password_file: Path | None,
    channel: str,
    days: float,
    floors: tuple[str, ...],
    as_json: bool,
) -> None:
    """The vendor's side: list all bundles and deltas in FOLDER in a signed updates.json."""
    if math.isnan(days):  # which is in every range
        raise click.UsageError("--days nan: write a number.")
    pair = key_pair(secret_key, password_file)
    published = shipping("updates.publish").publish(
        folder,
        pair,
        channel=channel,
        floors=dict(map(_floor, floors)),
        now_s=int(_now_s()),
        valid_s=int(days * _DAY_S),
    )
    made = published.catalog
    if as_json:
        output.emit(
            {
                "catalog": str(published.path),
                "channel": made.channel,
                "serial": made.serial,
                "expires_at": _day(made.expires_at_s),
                "bundles": [each.path for each in made.bundles],
                "deltas": [each.path for each in made.deltas],
                "left_out": list(published.left_out),
            }
        )
        return
    click.echo(str(published.path))
    output.note(
        f"{made.comment}, {len(made.bundles)} bundles, {len(made.deltas)} deltas, "
        f"good until {_day(made.expires_at_s)}; sign it anew before that"
    )
    for path in published.left_out:
        output.note(f"left out: {path} leads to no bundle in {folder}")


def _checked(asked: dict[str, Any]) -> tuple[Updater, Answer, Installed | None]:
    from edge_assistant.store.hosts import is_offline

    key = public_key_of(asked["public_key"], asked["public_word"])
    place: str = asked["source"]
    if "://" in place and is_offline() and not asked["allow_network"]:
        raise EdgeAssistantError(
            "offline",
            f"{place} is on a network, and the environment forbids networks",
            "give a folder as --source, or say --allow-network",
        )
    installed = _installed(asked["installed"])
    line = _line(asked, installed)
    updater: Updater = shipping("updates.updater").Updater(
        shipping("updates.source").open_source(place),
        key,
        shipping("updates.memory").Memory(asked["state"] or _default_state()),
        channel=asked["channel"],
        now_s=_now_s,
        expired=asked["expired"],
    )
    return updater, updater.check(line, installed), installed


def _installed(place: Path | None) -> Installed | None:
    """What was named, or the bundle that this very program came with."""
    if place is None:
        place = Path(sys.prefix).parent / "manifest.json"  # versions/<one>/venv
        if not place.is_file():
            return None
    found: Installed = shipping("updates.updater").read_installed(place)
    return found


def _line(asked: dict[str, Any], installed: Installed | None) -> Line:
    given = {part: asked[part] for part in ("name", "platform", "profile")}
    if installed is not None:
        for part in given:
            given[part] = given[part] or getattr(installed.line, part)
    missing = [part for part, value in given.items() if not value]
    if missing:
        raise click.UsageError(
            f"Nothing is installed here: give --installed, or --{', --'.join(missing)}."
        )
    line: Line = shipping("updates.catalog").Line(**given)
    return line


def _floor(text: str) -> tuple[Line, int]:
    parts = text.split(":")
    if len(parts) != 4 or not re.fullmatch("[0-9]{1,10}", parts[3]):
        raise click.UsageError(f"--floor {text}: write NAME:PLATFORM:PROFILE:BUILD.")
    line: Line = shipping("updates.catalog").Line(
        name=parts[0], platform=parts[1], profile=parts[2]
    )
    return line, int(parts[3])


def _default_state() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("edge-assistant", appauthor=False)) / "updates.json"


def _now_s() -> float:
    return datetime.now(UTC).timestamp()


def _day(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(answer: Answer, installed: Installed | None) -> dict[str, Any]:
    offer = answer.offer
    return {
        "installed_build": None if installed is None else installed.build,
        "newer_build": None if offer is None else offer.build,
        "newer_version": None if offer is None else offer.version,
        "floor": answer.floor,
        "serial": answer.catalog.serial,
        "expires_at": _day(answer.catalog.expires_at_s),
        "warning": answer.warning,
    }


def _tell(answer: Answer, installed: Installed | None) -> None:
    offer = answer.offer
    if answer.warning:
        output.note(f"warning: {answer.warning}")
    if offer is None:
        assert installed is not None
        click.echo(f"build {installed.build} of {installed.line} is the newest")
    else:
        has = "nothing" if installed is None else f"build {installed.build}"
        click.echo(f"build {offer.build} ({offer.version}) of {offer.line}; installed is {has}")
    output.note(
        f"{answer.catalog.comment}, good until {_day(answer.catalog.expires_at_s)}; "
        f"floor {answer.floor}"
    )
