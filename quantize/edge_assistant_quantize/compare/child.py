"""The child that measures one model, so that neither its memory nor its end is another's.

    python -m edge_assistant_quantize.compare.child FOLDER

Reads `order.json` in the folder and leaves `answer.json` there. What ends without an answer has
died.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec

from edge_assistant.engine_bench.readings import Failure, Round
from edge_assistant.errors import EdgeAssistantError
from edge_assistant_quantize.compare import language, speaking, speed
from edge_assistant_quantize.compare.messages import ORDERS, Answer, Order

ORDER: Final = "order.json"
ANSWER: Final = "answer.json"


def main(arguments: list[str]) -> int:
    """Do what the order says; a failure of our own kind is an answer, too."""
    folder = Path(arguments[0])
    order = ORDERS.decode((folder / ORDER).read_bytes())
    try:
        answer = _work(order, folder)
    except EdgeAssistantError as error:
        answer = Answer(round=Round(index=order.index), failure=failure(order, error))
    (folder / ANSWER).write_bytes(msgspec.json.encode(answer))
    return 0


def failure(order: Order, error: EdgeAssistantError) -> Failure:
    """An error as the report tells it."""
    return Failure(
        stage=order.candidate.kind,
        model=order.candidate.label,
        code=error.code,
        message=error.message,
        hint=error.hint,
    )


def _work(order: Order, folder: Path) -> Answer:
    if order.work == "speed":
        return speed.measured(order)
    if order.candidate.kind == "llm":
        return language.read(order)
    return speaking.spoken(order, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
