"""Debian packages, made of wheels small enough for a test and looked at with Debian's own tools."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from edge_assistant_packaging.debian.__main__ import main
from edge_assistant_packaging.debian.package import Order, build
from edge_assistant_packaging.debian.site import licence_of, python_of, spread
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.wheels.target import CPUS

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb here")

MADE_AT_S = 1_700_000_000
ROOT = Path(__file__).resolve().parents[2]


def test_the_same_wheels_make_the_same_bytes(tmp_path: Path) -> None:
    first = build(order(tmp_path, "a"), fresh(tmp_path / "work" / "a"))
    second = build(order(tmp_path, "b"), fresh(tmp_path / "elsewhere" / "deep" / "b"))
    assert [each.name for each in first] == ["edge-assistant_1.2.3-4_amd64.deb"]
    assert first[0].read_bytes() == second[0].read_bytes()


def test_what_is_in_the_package(tmp_path: Path) -> None:
    (package,) = build(order(tmp_path, "a"), fresh(tmp_path / "work"))
    (tmp_path / "tree").mkdir()
    told("dpkg-deb", "--raw-extract", str(package), str(tmp_path / "tree"))
    tree = tmp_path / "tree"
    program = tree / "opt/edge-assistant/current"
    site = program / "venv/lib/python3.11/site-packages"
    assert os.readlink(program / "venv/bin/python3") == "/usr/bin/python3.11"  # noqa: PTH115
    assert (site / "engine/lib/libx.so.0").is_symlink()
    assert (site / "engine/lib/libx.so.0.1.2").read_bytes() == b"\x7fELF"
    assert not list(tree.rglob("*.pyc"))
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/edge-assistant/config.toml\n"
    assert "libportaudio2" in told("dpkg-deb", "--field", str(package), "Depends")
    assert "avx2" in (tree / "DEBIAN/preinst").read_text()
    assert (tree / "usr/lib/systemd/system/edge-assistant.service").is_file()
    assert (tree / "usr/lib/systemd/user/edge-assistant-user.service").is_file()
    for script in ("preinst", "postinst", "prerm", "postrm"):
        assert "@" not in (tree / "DEBIAN" / script).read_text().replace('"$@"', "")
        told("sh", "-n", str(tree / "DEBIAN" / script))
    copyright_text = (tree / "usr/share/doc/edge-assistant/copyright").read_text()
    assert "engine 0.5: GPL-3.0-or-later" in copyright_text


def test_a_wheel_that_was_changed_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "engine-0.5-cp311-cp311-linux_x86_64", {"engine/a.py": b"x = 1\n"})
    changed = tmp_path / "changed" / wheel.name
    changed.parent.mkdir()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, data.replace(b"x = 1", b"x = 2"))
    with pytest.raises(ShippingError, match="wheel-damaged"):
        spread(changed, tmp_path / "site")


def test_what_nobody_runs_is_left_out(tmp_path: Path) -> None:
    kept, tests = "numpy/linalg/tests.py", "numpy/linalg/tests/test_it.py"
    numpy = dict.fromkeys((kept, tests, "numpy/lib/a.py"), b"")
    spread(make_wheel(tmp_path, "numpy-2.4-py3-none-any", numpy), tmp_path / "site")
    llama = dict.fromkeys(("llama_cpp/lib/libllama.so", "lib/libllama.so", "bin/tool"), b"")
    spread(make_wheel(tmp_path, "llama_cpp_python-0.3-py3-none-any", llama), tmp_path / "site")
    there = {each.relative_to(tmp_path / "site").as_posix() for each in files(tmp_path / "site")}
    assert {name for name in there if ".dist-info/" not in name} == {
        kept,
        "numpy/lib/a.py",
        "llama_cpp/lib/libllama.so",
    }


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "engine/../../outside.py"])
def test_a_wheel_writes_only_into_its_place(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path, "engine-0.5-cp311-cp311-linux_x86_64", {name: b""})
    with pytest.raises(ShippingError, match="wheel-damaged"):
        spread(wheel, tmp_path / "inner" / "site")
    assert not list(tmp_path.rglob("outside.py"))


def test_wheels_for_two_pythons_are_refused(tmp_path: Path) -> None:
    names = ["a-1-cp311-cp311-linux_x86_64.whl", "b-1-cp312-cp312-linux_x86_64.whl"]
    with pytest.raises(ShippingError, match="wheels-mixed"):
        python_of([tmp_path / name for name in names])
    assert python_of([tmp_path / names[0], tmp_path / "c-1-py3-none-any.whl"]) == "3.11"


def test_a_folder_without_the_assistant_is_refused(tmp_path: Path) -> None:
    given = order(tmp_path, "a")
    for each in given.wheels.glob("edge_assistant-*"):
        each.unlink()
    with pytest.raises(ShippingError, match="wheel-missing"):
        build(given, fresh(tmp_path / "work"))


def test_a_store_without_the_pack_is_refused(tmp_path: Path) -> None:
    given = order(tmp_path, "a", models=fresh(tmp_path / "store"))
    with pytest.raises(ShippingError, match="model-missing"):
        build(given, fresh(tmp_path / "work"))


def test_the_command_takes_the_wheels_it_is_given(tmp_path: Path) -> None:
    given = order(tmp_path, "a")
    words = ["--wheels", str(given.wheels), "--no-models", "-o", str(tmp_path / "out")]
    words += ["--platform", "linux-aarch64", "--cpu", "armv8.2-dotprod"]
    assert main([*words, "--revision", "7"]) == 0
    (package,) = (tmp_path / "out").iterdir()
    assert package.name == "edge-assistant_1.2.3-7_arm64.deb"
    told("dpkg-deb", "--control", str(package), str(tmp_path / "control"))
    assert "for flag in atomics asimdhp asimddp;" in (tmp_path / "control/preinst").read_text()
    assert main([*words, "--cpu", "x86-64-v3"]) == 1  # of another platform


def test_the_processor_is_asked_for_what_llama_is_compiled_for() -> None:
    for cpu in CPUS["linux-x86_64"].values():
        asked = {f"-DGGML_{each.replace('_', '').upper()}=ON" for each in cpu.features}
        assert asked | {"-DGGML_NATIVE=OFF"} == set(cpu.flags)


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_arguments_of_make_deb_do_not_go_to_the_set_up() -> None:
    lines = told("make", "-C", str(ROOT), "-n", "deb", "ARGS=--revision 2").splitlines()
    assert ["--revision 2" in line for line in lines if "python" in line][-2:] == [False, True]


def test_the_licence_is_what_the_wheel_says(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "engine-0.5-py3-none-any", {})
    assert licence_of(wheel) == ("engine", "0.5", "GPL-3.0-or-later")


def test_the_desktop_entry_is_valid() -> None:
    if shutil.which("desktop-file-validate") is None:
        pytest.skip("no desktop-file-validate here")
    files = Path(build.__code__.co_filename).parent / "files"
    assert told("desktop-file-validate", str(files / "edge-assistant.desktop")) == ""


def order(folder: Path, name: str, models: Path | None = None) -> Order:
    wheels = folder / f"wheels-{name}"
    wheels.mkdir()
    make_wheel(wheels, "edge_assistant-1.2.3-py3-none-any", {"edge_assistant/__init__.py": b""})
    library = dict.fromkeys(
        (f"engine/lib/libx.so{end}" for end in ("", ".0", ".0.1.2")), b"\x7fELF"
    )
    make_wheel(wheels, "engine-0.5-cp311-cp311-linux_x86_64", library)
    return Order(
        wheels=wheels,
        models=models,
        output=folder / f"out-{name}",
        platform="linux-x86_64",
        revision=4,
        made_at_s=MADE_AT_S,
        maintainer="A Vendor <vendor@example.org>",
        cpu_flags=("avx2",),
    )


def make_wheel(folder: Path, stem: str, files: dict[str, bytes]) -> Path:
    name, version = stem.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    said = f"Name: {name}\nVersion: {version}\nLicense-Expression: GPL-3.0-or-later\n\n"
    files = {**files, f"{info}/METADATA": said.encode()}
    record = "".join(f"{path},{digest(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    wheel = folder / f"{stem}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return wheel


def digest(data: bytes) -> str:
    raw = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + raw.rstrip(b"=").decode()


def files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
