"""The floor, row by row: a state, a fact, and exactly what becomes of both.

`pytest -v tests/turns/test_floor_table.py` prints the rows as a table. The whole next state is
compared, so a field that is changed by mistake, or left as it was, fails its row.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_assistant.turns.floor import step
from tests.turns.floor_rows_ahead import AHEAD_ROWS
from tests.turns.floor_rows_dip import DIP_ROWS
from tests.turns.floor_rows_mended import MENDED
from tests.turns.floor_rows_reply import FAILURES, PLAYBACK, WORDS
from tests.turns.floor_rows_session import SESSION
from tests.turns.floor_rows_time import TIME
from tests.turns.floor_rows_user import KEY, SPEECH
from tests.turns.floor_situations import AFTER, BEFORE, Situation, name_of
from tests.turns.floor_states import WRITTEN, Row
from tests.turns.floor_table import COMMAND, page

PAGE = Path(__file__).parents[2] / "docs" / "floor.md"


ROWS = [
    *TIME,
    *SPEECH,
    *KEY,
    *WORDS,
    *PLAYBACK,
    *FAILURES,
    *AHEAD_ROWS,
    *DIP_ROWS,
    *MENDED,
    *SESSION,
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_fact_does_this(row: Row) -> None:
    then, orders = step(row.given, row.fact, row.rules)
    assert orders == row.orders
    assert then == row.then


@pytest.mark.parametrize("situation", [*BEFORE, *AFTER], ids=lambda situation: situation.name)
def test_the_facts_of_a_situation_lead_to_its_state(situation: Situation) -> None:
    assert situation.state == WRITTEN[situation.name]
    assert name_of(situation.state) == situation.name


def test_no_two_rows_are_about_the_same() -> None:
    about = [(row.given, row.fact, row.rules) for row in ROWS]
    assert [row for row in about if about.count(row) > 1] == []


def test_the_page_of_the_floor_is_what_the_floor_does() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"make it anew: {COMMAND}"
