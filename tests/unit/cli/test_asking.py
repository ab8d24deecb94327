"""A daemon that is silent: said once, and only while something is waited for."""

import asyncio

from segel.cli.asking import Asking


class Notes:
    """An output that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.spoken = asyncio.Event()

    def note(self, text: str) -> None:
        self.said.append(text)
        self.spoken.set()


async def test_silence_is_said_once():
    notes = Notes()
    asking = Asking(notes, "keys/seal", silence=0)
    for _ in range(2):
        with asking.daemon():
            await notes.spoken.wait()
            await asyncio.sleep(0)
    assert notes.said == ["waiting for the daemon …"]


async def test_nothing_is_said_of_a_daemon_that_answers():
    notes = Notes()
    asking = Asking(notes, "keys/seal", silence=60)
    with asking.daemon():
        first = asking._timer
        with asking.daemon():
            assert asking._timer is first
        assert first.cancelled()  # an answer to another question: the silence begins anew
        second = asking._timer
        assert not second.cancelled()
    assert second.cancelled()
    assert asking._timer is None
    assert notes.said == []
