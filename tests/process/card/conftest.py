"""A real worker on a virtual card, through both modules."""

import os
from collections.abc import Callable, Iterator

import pytest
from worker_process import WorkerProcess

from segel_cards import Card
from segeld.ipc import pin_wire
from segeld.ipc import worker_wire as wire


@pytest.fixture(params=["card", "yubikey"])
def any_card(request: pytest.FixtureRequest) -> Card:
    """Through OpenSC, and through ykcs11."""
    card: Card = request.getfixturevalue(request.param)
    return card


class CardBox:
    def __init__(self, card: Card) -> None:
        self.module = str(card.module)
        self.environment = {**os.environ, **card.environment}


class CardWorker(WorkerProcess):
    def __init__(self, card: Card) -> None:
        super().__init__(CardBox(card))
        self.card = card

    def opened(self) -> wire.TokenOpened:
        assert isinstance(self.load(), wire.Loaded)
        opened = self.open(self.card.label)
        assert isinstance(opened, wire.TokenOpened), opened
        return opened

    def keys(self) -> dict[str, wire.FoundKey]:
        """After a login: by the slot of the card."""
        self.opened()
        assert self.login(self.card.pin.encode()).outcome is pin_wire.LoginOutcome.OK
        return {f"9{'?ACDE'[key.cka_id[0]]}": key for key in self.find()}


@pytest.fixture
def start_on() -> Iterator[Callable[[Card], CardWorker]]:
    started: list[CardWorker] = []

    def begin(card: Card) -> CardWorker:
        started.append(CardWorker(card))
        return started[-1]

    yield begin
    for worker in started:
        worker.close()


@pytest.fixture
def worker(any_card: Card, start_on: Callable[[Card], CardWorker]) -> CardWorker:
    return start_on(any_card)
