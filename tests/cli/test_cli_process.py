"""Signals, worker threads and the stolen stdout, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from edge_assistant.cancel import CancelToken
from edge_assistant.cli.process import in_worker

WAITS = """
    from edge_assistant.cli import process
    process.prepare()
    import threading
    def work(token):
        {work}
    try:
        process.in_worker(work, "work")
    except SystemExit as stop:
        print("unwound", flush=True)
        {after}
        process.leave(stop.code)
"""
OBEDIENT = "print('ready', flush=True); e = threading.Event(); token.on_cancel(e.set); e.wait()"
TELLS = f"{OBEDIENT}; print('let go', flush=True)"
DEAF = "print('ready', flush=True); threading.Event().wait()"


def start(program: str, environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


@pytest.mark.parametrize(
    ("name", "code", "work", "told"),
    [
        ("SIGINT", 130, TELLS, "let go\n"),
        ("SIGTERM", 143, TELLS, "let go\n"),
        ("SIGHUP", 129, TELLS, "let go\n"),
        ("SIGTERM", 143, DEAF, ""),
    ],
    ids=["int", "term", "hup", "deaf"],
)
def test_a_signal_ends_it_with_its_code(
    environ: dict[str, str], name: str, code: int, work: str, told: str
) -> None:
    """Also while an engine holds its thread and does not listen."""
    child = start(WAITS.format(work=work, after=""), environ)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.Signals[name])
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (code, f"{told}unwound\n", "")


def test_a_second_signal_does_not_wait(environ: dict[str, str]) -> None:
    program = WAITS.format(work=OBEDIENT, after="threading.Event().wait()")
    child = start(program, environ)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGTERM)
    assert child.stdout.readline() == "unwound\n"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130


def test_nohup_is_respected(environ: dict[str, str]) -> None:
    program = """
        import signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        from edge_assistant.cli import process
        process.prepare()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    """
    child = start(program, environ)
    assert child.communicate(timeout=30) == ("", "")


def test_work_is_done_elsewhere_and_its_result_and_errors_come_back() -> None:
    names = []

    def work(token: CancelToken) -> int:
        names.append(threading.current_thread().name)
        assert not token.is_cancelled
        return 7

    def fail(token: CancelToken) -> int:
        raise ValueError("no")

    assert in_worker(work, "some-engine") == 7
    assert names == ["some-engine"]
    with pytest.raises(ValueError, match="no"):
        in_worker(fail, "some-engine")


def test_nobody_else_gets_into_the_stream(environ: dict[str, str]) -> None:
    """Native code writes to descriptor 1; Python prints; the stream has only what is sent."""
    program = """
        import os, subprocess, sys
        from edge_assistant.cli.pipe_io import claim_stdio
        print("before", flush=True)
        source, sink = claim_stdio()
        os.write(1, b"native chatter\\n")
        print("python chatter", flush=True)
        subprocess.run(["echo", "child chatter"])
        sink.write(source.read(3))
        assert sys.stdin.read() == ""
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        input=b"abc",
        capture_output=True,
        env=environ,
        check=True,
    )
    assert done.stdout == b"before\nabc"
    assert done.stderr == b"native chatter\npython chatter\nchild chatter\n"


def test_little_is_imported_before_the_signals_are_taken(environ: dict[str, str]) -> None:
    """What Ctrl-C meets before that ends in a traceback."""
    program = """
        import sys
        from edge_assistant.cli import main, process
        def prepared():
            print(sorted({"click", "rich", "numpy"} & set(sys.modules)))
            raise SystemExit
        process.prepare = prepared
        main.main()
    """
    child = start(program, environ)
    out, _ = child.communicate(timeout=30)
    assert out == "[]\n"
