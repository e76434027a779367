"""Rounds of several builds, each in a process of its own, one round of each in turn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec

import edge_assistant
from edge_assistant.bench.machine import this_machine
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.readings import Failure, Round
from edge_assistant.engine_bench.rounds import Progress
from edge_assistant.errors import EdgeAssistantError

THIS: Final = "this"
"""What the build is called that runs the bench."""

COMMAND: Final = ("-m", "edge_assistant", "bench", "engines")


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """An environment with an edge_assistant of its own."""

    name: str
    python: str
    """Its interpreter."""

    @property
    def command(self) -> list[str]:
        """What runs its bench of engines.

        `-P`: neither the working folder nor `PYTHONPATH` may put this checkout in the place of the
        other environment's package.
        """
        own = [] if self.name == THIS else ["-P"]
        return [self.python, *own, *COMMAND]

    def environ(self) -> dict[str, str]:
        """The environment of its processes."""
        environ = dict(os.environ)
        others = environ.pop("PYTHONPATH", "")
        if self.name == THIS:
            here = str(Path(edge_assistant.__file__).parents[1])
            environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, others)))
        return environ


class BuildFailed(EdgeAssistantError):
    """A build's process did not give a round."""


def this_build() -> Build:
    """The one that runs."""
    return Build(name=THIS, python=sys.executable)


def signed(round_: Round) -> Round:
    """The round with what is to be known of the build that measured it; what `ask` reads."""
    round_.version = edge_assistant.__version__
    round_.machine = this_machine()
    return round_


def measure(
    builds: Sequence[Build],
    arguments: Sequence[str],
    indices: Sequence[int],
    rounds: list[Round],
    token: CancelToken,
    progress: Progress = lambda text: None,
    *,
    seed: int = 0,
) -> None:
    """Let every build measure a round before any measures the next, in a shuffled order.

    This build too gets a new process for each round, so that all are alike. A build that fails
    gets its failure into a round of its own, and is not asked again.

    Args:
        builds: their names differ.
        arguments: of `bench engines`, the same for all.
        indices: of the rounds.
        rounds: where they go.
        token: cancels; the child is ended.
        progress: called on this thread.
        seed: of the order.

    Raises:
        BuildFailed: every build failed.
        TurnCancelled: `token` was cancelled.
    """
    left = list(builds)
    for index in indices:
        order = list(left)
        Random(f"{seed}/{index}/build").shuffle(order)
        for build in order:
            progress(f"round {index + 1}/{len(indices)}  {build.name}")
            try:
                round_ = ask(build, [*arguments, "--one-round", str(index)], token)
            except BuildFailed as error:
                left.remove(build)
                if not left:
                    raise
                round_ = Round(index=index, failures=[_all_of_it(error)])
            round_.build = build.name
            rounds.append(round_)


def ask(build: Build, arguments: Sequence[str], token: CancelToken) -> Round:
    """Run one process of a build and read the round that it writes.

    Raises:
        BuildFailed: it could not be started, failed, or wrote something else.
        TurnCancelled: `token` was cancelled.
    """
    try:
        child = subprocess.Popen(
            [*build.command, *arguments, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=build.environ(),
        )
    except OSError as error:
        raise _failed(build, error.strerror or str(error)) from error
    unsubscribe = token.on_cancel(child.terminate)
    try:
        written, said = child.communicate()
    finally:
        unsubscribe()
    token.raise_if_cancelled()
    if child.returncode != 0:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        told = [line for line in lines if line.startswith(("error", "Error"))] or lines[-1:]
        raise _failed(build, told[0] if told else f"exit code {child.returncode}")
    try:
        return msgspec.json.decode(written, type=Round)
    except msgspec.MsgspecError as error:
        raise _failed(build, f"it wrote no round: {error}") from error


def _failed(build: Build, reason: str) -> BuildFailed:
    return BuildFailed(
        "engine-bench-build",
        f"the build {build.name} measured nothing: {reason}",
        f"try it by hand: {build.python} -m edge_assistant bench engines --repeats 1",
    )


def _all_of_it(error: BuildFailed) -> Failure:
    return Failure(stage="all", model="", code=error.code, message=error.message, hint=error.hint)
