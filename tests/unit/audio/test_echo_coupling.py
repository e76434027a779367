"""How much of the loudspeaker may be left at the most, from powers that the test makes."""

from __future__ import annotations

import numpy as np

from edge_assistant.audio.echo.coupling import (
    FREE_BLOCKS,
    KNOWN_BLOCKS,
    MARGIN,
    OLD_BLOCKS,
    RISE,
    RISE_OPEN,
    Coupling,
)
from edge_assistant.audio.echo.path import PIECES, Values

BANDS = 3
FAR: Values = np.array([1.0, 0.1, 0.0])
"""The third band is silent."""
LEFT = 0.01
"""Of the loudspeaker."""


def heard(blocks: int, left: float = LEFT) -> Coupling:
    """A coupling that has seen so many blocks of which so much was left."""
    coupling = Coupling(BANDS)
    for _ in range(blocks):
        coupling.most(FAR)
        coupling.learn(left * FAR, is_open=False)
    return coupling


def test_of_a_band_that_was_hardly_heard_nothing_is_known() -> None:
    assert np.isinf(heard(KNOWN_BLOCKS - 1).most(FAR)).all()
    most = heard(KNOWN_BLOCKS).most(FAR)
    assert np.isfinite(most).tolist() == [True, True, False]


def test_an_old_model_needs_no_limit() -> None:
    assert np.isfinite(heard(OLD_BLOCKS - 1).most(FAR)[:2]).all()
    assert np.isinf(heard(OLD_BLOCKS).most(FAR)).all()


def test_it_is_needed_until_every_band_is_old() -> None:
    assert heard(OLD_BLOCKS).is_needed  # the silent one is not
    coupling = Coupling(BANDS)
    for _ in range(OLD_BLOCKS):
        assert coupling.is_needed
        coupling.most(np.ones(BANDS))
        coupling.learn(np.ones(BANDS), is_open=False)
    assert not coupling.is_needed


def test_the_most_is_a_margin_over_what_was_left() -> None:
    np.testing.assert_allclose(heard(FREE_BLOCKS).most(FAR)[:2], MARGIN * LEFT * FAR[:2])


def test_early_on_more_is_learnt_at_once_and_later_step_by_step() -> None:
    for blocks, factor in ((FREE_BLOCKS - 1, 100.0), (FREE_BLOCKS, RISE)):
        coupling = heard(blocks)
        coupling.most(FAR)
        coupling.learn(100.0 * LEFT * FAR, is_open=False)
        np.testing.assert_allclose(coupling.most(FAR)[:2], factor * MARGIN * LEFT * FAR[:2])


def test_who_talks_for_a_second_is_not_learnt_as_echo() -> None:
    coupling = heard(FREE_BLOCKS)
    for _ in range(100):
        coupling.most(FAR)
        coupling.learn(100.0 * LEFT * FAR, is_open=True)
    expected = RISE_OPEN**100 * MARGIN * LEFT
    np.testing.assert_allclose(coupling.most(FAR)[0], expected)
    assert expected < 10.0 * MARGIN * LEFT


def test_less_is_learnt_while_the_model_gets_better() -> None:
    coupling = heard(FREE_BLOCKS)
    before = coupling.most(FAR)[0]
    for _ in range(100):
        coupling.most(FAR)
        coupling.learn(0.0 * FAR, is_open=False)
    np.testing.assert_allclose(coupling.most(FAR)[0] / before, 10.0**-0.8, rtol=1e-6)


def test_the_room_keeps_the_loudspeaker_for_a_while() -> None:
    coupling = heard(FREE_BLOCKS)
    silence = np.zeros(BANDS)
    loud = coupling.most(FAR)[0]
    for _ in range(PIECES - 1):
        assert coupling.most(silence)[0] == loud
    later = [coupling.most(silence)[0] for _ in range(10)]
    assert later == sorted(later, reverse=True)
    assert later[-1] < loud / 2.0


def test_silence_of_the_loudspeaker_teaches_nothing() -> None:
    """Once what came before has faded: after 400 ms and 70 dB."""
    learnt = []
    for left in (0.0, 1.0):
        coupling = heard(FREE_BLOCKS)
        for block in range(500):
            coupling.most(np.zeros(BANDS))
            coupling.learn(np.full(BANDS, left if block > 200 else 0.0), is_open=False)
        learnt.append(coupling.most(FAR)[0])
    assert np.isfinite(learnt[0])
    assert learnt[0] == learnt[1]
