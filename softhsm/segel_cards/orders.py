"""The control socket, from inside: what it may ask of card and reader."""

import socketserver
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from segel_cards.control import Order, Reply
from segel_cards.errors import CardError
from segel_cards.faults import ANY, SIGN, VERIFY, Faults
from segel_cards.memory import Stored
from segel_cards.presence import Presence
from segel_cards.status import CardStatus
from segel_cards.vpcd import Reader


class Orders:
    """Does what is asked; each method is the name of an order."""

    def __init__(self, stored: Stored, faults: Faults, reader: Reader, presence: Presence) -> None:
        self._stored: Final = stored
        self._faults: Final = faults
        self._reader: Final = reader
        self._presence: Final = presence
        self._known: Final[dict[str, Callable[..., object]]] = {
            "insert": self.insert,
            "remove": self.remove,
            "status": self.status,
            "mute": self.mute,
            "tries": self.tries,
            "wait_held": self.wait_held,
            "delay": faults.delay,
            "unmute": faults.unmute,
            "refuse": faults.refuse,
            "corrupt": faults.corrupt,
            "drop": faults.drop,
        }

    def do(self, order: Order) -> Reply:
        known = self._known.get(order.do)
        if known is None:
            return Reply(f"no such order: {order.do}")
        try:
            done = known(*order.arguments)
        except (CardError, OSError, TypeError, ValueError) as error:
            return Reply(f"{order.do}: {error}")
        return done if isinstance(done, Reply) else Reply()

    def insert(self) -> None:
        self._reader.insert()
        self._presence.wait(present=True)

    def remove(self) -> None:
        self._reader.remove()
        self._presence.wait(present=False)

    def status(self) -> Reply:
        memory, faults = self._stored.memory, self._faults
        status = CardStatus(
            inserted=self._reader.inserted,
            commands=faults.commands,
            held=faults.held,
            pin_tries=memory.pin_tries,
            puk_tries=memory.puk_tries,
            counters=memory.counters,
        )
        return Reply(status=status)

    def mute(self, what: str) -> None:
        if what not in (ANY, VERIFY, SIGN):
            raise ValueError(f"{what} is none of {ANY}, {VERIFY}, {SIGN}")
        self._faults.mute(what)

    def tries(self, left: int) -> None:
        if not 0 <= left <= self._stored.memory.max_tries:
            raise ValueError(f"the card has 0 to {self._stored.memory.max_tries} tries")
        self._stored.memory.pin_tries = left
        self._stored.save()

    def wait_held(self, count: int, seconds: float) -> None:
        if not self._faults.wait_held(count, seconds):
            raise CardError(f"{self._faults.held} answers are kept back, not {count}")


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        try:
            reply = server.orders.do(msgspec.json.decode(self.rfile.readline(), type=Order))
        except msgspec.DecodeError as error:
            reply = Reply(f"not an order: {error}")
        self.wfile.write(msgspec.json.encode(reply) + b"\n")


class OrderServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, orders: Orders) -> None:
        super().__init__(str(path), _Handler)
        self.orders: Final = orders
