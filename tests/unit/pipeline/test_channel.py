from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.pipeline.channel import Channel, ChannelClosed

HUNG_S = 10.0


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Runs `work`; what it returned or raised is in the list when the thread has ended."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except (TurnCancelled, ChannelClosed) as error:
            results.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_items_come_out_in_order_and_the_peak_is_kept() -> None:
    channel: Channel[int] = Channel(3)
    assert [channel.offer(n) for n in range(4)] == [True, True, True, False]
    assert [channel.get() for _ in range(3)] == [0, 1, 2]
    statistics = channel.statistics()
    assert (statistics.waiting, statistics.peak, statistics.total) == (0, 3, 3)


def test_a_full_channel_makes_the_writer_wait_until_there_is_room() -> None:
    channel: Channel[int] = Channel(1)
    channel.offer(1)
    thread, results = in_thread(lambda: channel.put(2, CancelToken()))
    thread.join(0.05)
    assert thread.is_alive()
    assert channel.get() == 1
    thread.join(HUNG_S)
    assert results == [None]
    assert channel.get() == 2


def test_a_waiting_writer_wakes_on_cancel_and_on_close() -> None:
    channel: Channel[int] = Channel(1)
    channel.offer(1)
    token = CancelToken()
    cancelled, why_cancelled = in_thread(lambda: channel.put(2, token))
    token.cancel("test")
    cancelled.join(HUNG_S)
    assert why_cancelled == [TurnCancelled]
    closed, why_closed = in_thread(lambda: channel.put(3, CancelToken()))
    channel.close()
    closed.join(HUNG_S)
    assert why_closed == [ChannelClosed]
    assert channel.get() == 1
    with pytest.raises(ChannelClosed):
        channel.get()


def test_a_waiting_reader_wakes_on_close() -> None:
    channel: Channel[int] = Channel(1)
    thread, results = in_thread(channel.get)
    channel.close()
    thread.join(HUNG_S)
    assert results == [ChannelClosed]
    assert not channel.offer(1)


def test_purge_drops_what_is_stale_and_makes_room() -> None:
    channel: Channel[int] = Channel(4)
    for n in range(4):
        channel.offer(n)
    assert channel.purge(lambda n: n % 2 == 0) == 2
    assert channel.offer(5)
    assert [channel.get() for _ in range(3)] == [1, 3, 5]


def test_a_token_is_cancelled_once_and_for_good() -> None:
    token = CancelToken()
    calls: list[str] = []
    token.on_cancel(lambda: calls.append("kept"))
    token.on_cancel(lambda: calls.append("dropped"))()
    token.raise_if_cancelled()
    token.cancel("first")
    token.cancel("second")
    token.on_cancel(lambda: calls.append("late"))
    assert calls == ["kept", "late"]
    assert token.reason == "first"
    with pytest.raises(TurnCancelled, match="first"):
        token.raise_if_cancelled()
    assert not issubclass(TurnCancelled, Exception)
