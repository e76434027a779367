"""`edge-assistant`: runs a verb, and turns a failure into one line and an exit code.

Little is imported here: until `main` has taken over the signals, Ctrl-C would print a traceback.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from edge_assistant.cli import process
from edge_assistant.errors import (
    AudioFormatError,
    ConfigError,
    DeviceLost,
    DeviceNotFound,
    DownloadError,
    EdgeAssistantError,
)

_FILE_CODES: Final = (
    "events-incomplete",
    "events-unwritable",
    "file-missing",
    "file-unreadable",
    "not-a-file",
    "output-unwritable",
    "store-unwritable",
)
"""Of a file that cannot be read or written, whatever class of error says so."""


def exit_code_of(error: EdgeAssistantError) -> int:
    """The process's exit code for an error; part of the interface."""
    if error.code in _FILE_CODES:
        return 74
    match error:
        case ConfigError():
            return 78
        case DeviceNotFound() | DeviceLost():
            return 69
        case AudioFormatError() | DownloadError():
            return 74
    return 1


def run_command(args: Sequence[str]) -> int:
    """Run one command line on the main thread and give its exit code."""
    import click

    from edge_assistant.cli import output
    from edge_assistant.cli.verbs import cli

    debug = "--debug" in args[:3]
    try:
        result = cli.main(list(args), prog_name="edge-assistant", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except EdgeAssistantError as error:
        output.report(error)
        if debug:
            raise
        return exit_code_of(error)
    except OSError as error:
        if debug:
            raise
        output.report(_told(error))
        return 74
    except Exception as error:  # the border to the user: one line, not a traceback
        if debug:
            raise
        output.report_unexpected(error)
        return 1
    return result if isinstance(result, int) else 0


def _told(error: OSError) -> EdgeAssistantError:
    """An error of the operating system, with what to do about it."""
    where = f"{error.filename}: " if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            hint = "free some space; `df -h` shows where it is short"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            hint = "choose a place that you may write to, or set HOME to one"
        case _:
            hint = "check the path with: ls -l"
    return EdgeAssistantError("io", f"{where}{error.strerror or error}", hint)


def main() -> NoReturn:
    """Entry point of the installed command."""
    process.prepare()
    try:
        code = run_command(sys.argv[1:])
    except SystemExit as stop:  # a signal
        code = stop.code if isinstance(stop.code, int) else 1
    process.leave(code)
