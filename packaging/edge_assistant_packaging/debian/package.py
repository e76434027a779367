"""The two packages: what is in them, and `dpkg-deb` over it."""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from importlib import resources
from pathlib import Path
from typing import Final

from edge_assistant.store.catalog import Catalog
from edge_assistant.store.entry import ModelEntry
from edge_assistant_packaging.debian.site import lay_out, licence_of, python_of
from edge_assistant_packaging.errors import ShippingError

NAME: Final = "edge-assistant"
PROGRAM: Final = Path("opt/edge-assistant/current")
MODELS: Final = Path("usr/share/edge-assistant/models")
"""Where the store looks for models of the system (`store.SYSTEM_FOLDER`)."""
ARCHITECTURES: Final = {"linux-x86_64": "amd64", "linux-aarch64": "arm64"}
_FILES: Final = resources.files("edge_assistant_packaging.debian") / "files"
_SERVICES: Final = resources.files("edge_assistant_packaging") / "services"
_SHARED: Final = (
    "libportaudio2",
    "libasound2",
    "libc6 (>= 2.34)",
    "libgcc-s1",
    "libgomp1",
    "libstdc++6 (>= 11)",
    "zlib1g",
)
"""What the wheels expect of the system; the rest they bring along. 2.34 is glibc's, of the newest
tag among them (`manylinux_2_34`), 11 that of GLIBCXX_3.4.29, which llama.cpp's libraries ask for.
libgomp is for a llama.cpp that was built elsewhere: ours has one beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to make."""

    wheels: Path
    """A folder of wheels, edge_assistant's own among them, all for one Python and platform."""
    models: Path | None
    """A store with the pack; None makes no package of models."""
    output: Path
    platform: str
    """One of `manifest.PLATFORMS`."""
    revision: int
    """Debian's revision: counts up while the version of the assistant stays."""
    made_at_s: int
    """SOURCE_DATE_EPOCH: every time stamp in the package."""
    maintainer: str
    cpu_flags: tuple[str, ...] = ()
    """As /proc/cpuinfo calls them; `preinst` refuses a processor without one of them."""
    pack: str = "starter"


def this_platform() -> str:
    """The platform of this machine, as a manifest calls it."""
    return f"linux-{platform.machine()}"


def build(order: Order, workspace: Path) -> list[Path]:
    """Make the packages; `workspace` is an empty folder that the caller removes.

    Raises:
        ShippingError: `wheels-mixed`, `wheel-damaged`, `wheel-missing`, `model-missing`,
            `dpkg-deb-failed`.
    """
    os.umask(0o022)
    order.output.mkdir(parents=True, exist_ok=True)
    made = [_program(order, workspace / NAME)]
    if order.models is not None:
        made.append(_models(order, order.models, workspace / "models"))
    return made


def _program(order: Order, tree: Path) -> Path:
    wheels = sorted(order.wheels.glob("*.whl"))
    own = [each for each in wheels if each.name.startswith("edge_assistant-")]
    if len(own) != 1:
        raise ShippingError(
            "wheel-missing",
            f"{order.wheels} has {len(own)} wheels of edge_assistant itself, not one",
            f"pip wheel --no-deps . -w {order.wheels}",
        )
    version = f"{licence_of(own[0])[1]}-{order.revision}"
    python = python_of(wheels)
    lay_out(wheels, tree / PROGRAM / "venv", python)
    _put(tree, PROGRAM / "bin" / NAME, _text("launcher"), executable=True)
    _link(tree, Path("usr/bin") / NAME, Path("/") / PROGRAM / "bin" / NAME)
    _put(tree, Path("etc/edge-assistant/config.toml"), _text("config.toml"))
    units = _units(tree)
    _put(
        tree, Path("usr/share/applications/edge-assistant.desktop"), _text("edge-assistant.desktop")
    )
    icon = Path("usr/share/icons/hicolor/scalable/apps/edge-assistant.svg")
    _put(tree, icon, _text("edge-assistant.svg"))
    day = datetime.fromtimestamp(order.made_at_s, UTC).strftime("%Y-%m-%d")
    page = _text("edge-assistant.1").replace("@VERSION@", version).replace("@DATE@", day)
    _put_packed(tree, Path("usr/share/man/man1/edge-assistant.1.gz"), page)
    _papers(tree, NAME, version, order, _copyright("copyright", _licences_of_wheels(wheels)))
    fields = {
        "Package": NAME,
        "Version": version,
        "Architecture": ARCHITECTURES[order.platform],
        "Maintainer": order.maintainer,
        "Depends": ", ".join([f"python{python}", *_SHARED]),
        "Recommends": "edge-assistant-models-starter, libasound2-plugins, pulseaudio-utils",
        "Section": "sound",
        "Priority": "optional",
        "Description": _description(
            "voice assistant that runs wholly on this machine",
            "It listens, understands, answers and speaks without a network, and may be interrupted"
            " while it speaks. The engines are in /opt/edge-assistant, in an environment of their"
            " own that takes nothing from the system but Python and a few libraries.",
            f"llama.cpp is compiled for: {' '.join(order.cpu_flags) or 'the baseline'}.",
        ),
    }
    words = {"@CPU_FLAGS@": " ".join(order.cpu_flags), "@UNITS@": " ".join(units)}
    scripts = {each: _text(each) for each in ("preinst", "postinst", "prerm", "postrm")}
    for name, text in scripts.items():
        for word, value in words.items():
            text = text.replace(word, value)
        scripts[name] = text
    return _pack(
        tree,
        fields,
        order,
        scripts,
        conffiles=["/etc/edge-assistant/config.toml"],
        compression=("-Zxz", "-z3"),
    )


def _models(order: Order, store: Path, tree: Path) -> Path:
    entries = Catalog.load().pack(order.pack)
    for entry in entries:
        for spec in entry.files:
            source = store / entry.id / spec.name
            if not source.is_file() or _sha256(source) != spec.sha256:
                raise ShippingError(
                    "model-missing",
                    f"{source} is missing, or is not the file that the catalog means",
                    f"edge-assistant models pull {entry.id}",
                )
            target = tree / MODELS / entry.id / spec.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    version = f"{_newest_version(order)}-{order.revision}"
    name = f"edge-assistant-models-{order.pack}"
    _papers(
        tree, name, version, order, _copyright("copyright-models", _licences_of_models(entries))
    )
    fields = {
        "Package": name,
        "Version": version,
        "Architecture": "all",
        "Maintainer": order.maintainer,
        "Enhances": NAME,
        "Section": "sound",
        "Priority": "optional",
        "Description": _description(
            f"models of Edge Assistant: the pack `{order.pack}`",
            "Everything that is needed to talk: " + ", ".join(each.id for each in entries) + ".",
        ),
    }
    # Weights shrink by a tenth, and that takes minutes.
    return _pack(tree, fields, order, {}, conffiles=[], compression=("-Znone",))


def _newest_version(order: Order) -> str:
    (own,) = order.wheels.glob("edge_assistant-*.whl")
    return licence_of(own)[1]


def _units(tree: Path) -> list[str]:
    """Put the units where systemd looks, and name those of the system; nothing is enabled."""
    system: list[str] = []
    for each in sorted(_SERVICES.iterdir(), key=lambda one: one.name):
        if each.name.endswith(".service"):
            is_users = each.name.endswith("-user.service")
            folder = Path("usr/lib/systemd") / ("user" if is_users else "system")
            _put(tree, folder / each.name, each.read_text("utf-8"))
            system += [] if is_users else [each.name]
    return system


def _papers(tree: Path, package: str, version: str, order: Order, copyright_text: str) -> None:
    """Copyright and changelog, which every package of Debian has."""
    folder = Path("usr/share/doc") / package
    _put(tree, folder / "copyright", copyright_text)
    when = format_datetime(datetime.fromtimestamp(order.made_at_s, UTC))
    entry = (
        f"{package} ({version}) unstable; urgency=medium\n\n"
        f"  * Made from the wheels of edge-assistant; see its CHANGELOG.md.\n\n"
        f" -- {order.maintainer}  {when}\n"
    )
    _put_packed(tree, folder / "changelog.Debian.gz", entry)


def _copyright(name: str, parts: str) -> str:
    return _text(name).replace("@PARTS@", parts)


def _licences_of_wheels(wheels: Sequence[Path]) -> str:
    lines = ["Wheels in /opt/edge-assistant (the texts: *.dist-info in its site-packages):", ""]
    for wheel in wheels:
        lines.append("  {} {}: {}".format(*licence_of(wheel)))
    return "\n".join(lines)


def _licences_of_models(entries: Sequence[ModelEntry]) -> str:
    return "\n".join(["Models:", "", *(f"  {each.id}: {each.licence}" for each in entries)])


def _description(short: str, *paragraphs: str) -> str:
    body = "\n .\n".join(
        textwrap.fill(each, 76, initial_indent=" ", subsequent_indent=" ") for each in paragraphs
    )
    return f"{short}\n{body}"


def _pack(
    tree: Path,
    fields: Mapping[str, str],
    order: Order,
    scripts: Mapping[str, str],
    *,
    conffiles: Sequence[str],
    compression: tuple[str, ...],
) -> Path:
    files = sorted(each for each in tree.rglob("*") if each.is_file() and not each.is_symlink())
    size_kib = sum(-(-each.stat().st_size // 1024) for each in files)
    sums = "".join(
        f"{hashlib.md5(each.read_bytes(), usedforsecurity=False).hexdigest()}  "
        f"{each.relative_to(tree)}\n"
        for each in files
        if f"/{each.relative_to(tree)}" not in conffiles
    )
    control = {**fields, "Installed-Size": str(size_kib)}
    control["Description"] = control.pop("Description")
    lines = "".join(f"{name}: {value}\n" for name, value in control.items())
    _put(tree, Path("DEBIAN/control"), lines)
    _put(tree, Path("DEBIAN/md5sums"), sums)
    if conffiles:
        _put(tree, Path("DEBIAN/conffiles"), "".join(f"{each}\n" for each in conffiles))
    for name, text in scripts.items():
        _put(tree, Path("DEBIAN") / name, text, executable=True)
    _settle(tree, order.made_at_s)
    target = order.output / "{Package}_{Version}_{Architecture}.deb".format(**fields)
    command = ["dpkg-deb", "--root-owner-group", *compression, "--build", str(tree), str(target)]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(order.made_at_s)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        raise ShippingError("dpkg-deb-failed", done.stderr.strip(), "look at the lines above")
    return target


def _settle(tree: Path, made_at_s: int) -> None:
    """Give every file and folder the mode and the time that do not depend on this machine."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (made_at_s, made_at_s), follow_symlinks=False)


def _put(tree: Path, path: Path, text: str, *, executable: bool = False) -> None:
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    target.chmod(0o755 if executable else 0o644)


def _put_packed(tree: Path, path: Path, text: str) -> None:
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _link(tree: Path, path: Path, target: Path) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).symlink_to(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(name: str) -> str:
    return (_FILES / name).read_text("utf-8")
