"""What goes over the stream at once, and who waits for it."""

import asyncio
import copy
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, Self

from segel import models
from segel.errors import SegelError
from segel.v1 import signing_pb2 as signing

Outcome = bytes | SegelError
Leaf = tuple[str, int, int]
"""Where a signature is in the audit log: its origin, the leaf, the position in it."""


class Way(NamedTuple):
    """How to sign; only what is signed in the same way shares a batch."""

    key: str
    algorithm: int
    """Number of `segel.v1.SignatureAlgorithm`."""
    encoding: int
    """Number of `segel.v1.EcdsaEncoding`."""
    is_message: bool
    """Whether the inputs are messages and not digests."""


class Receiver(Protocol):
    """Whoever waits for the outcomes of a batch, each at a place of its own."""

    def settle(self, place: int, outcome: Outcome, leaf: Leaf | None = None, /) -> None:
        """Takes the outcome; ignores it where nobody waits any more."""
        ...

    def waits_at(self, place: int) -> bool:
        """Whether somebody still waits for the outcome of this place."""
        ...


class Single:
    """One `sign_digest` or `sign_message`."""

    __slots__ = ("data", "deadline", "future")

    def __init__(self, data: bytes, deadline: float, future: asyncio.Future[bytes]) -> None:
        self.data: Final = data
        self.deadline: Final = deadline
        self.future: Final = future


class Singles:
    """Calls that were gathered into one batch. The place is the position."""

    __slots__ = ("_singles",)

    def __init__(self, singles: Sequence[Single]) -> None:
        self._singles: Final = singles

    def settle(self, place: int, outcome: Outcome, _leaf: Leaf | None = None, /) -> None:
        future = self._singles[place].future
        if future.done():
            return
        if isinstance(outcome, bytes):
            future.set_result(outcome)
        else:
            # One each: an exception that several tasks raise collects the tracebacks of all.
            own = copy.copy(outcome)
            own.__cause__ = outcome.__cause__
            future.set_exception(own)

    def waits_at(self, place: int) -> bool:
        return not self._singles[place].future.done()


class Bulk:
    """A piece of one `sign_digests`: many places, one future."""

    __slots__ = ("_ids", "_missing", "_outcomes", "deadline", "future", "timeout")

    def __init__(
        self,
        count: int,
        ids: Sequence[str] | None,
        loop: asyncio.AbstractEventLoop,
        deadline: float,
        timeout: float,
    ) -> None:
        self.deadline: Final = deadline
        self.timeout: Final = timeout
        self._ids: Final = ids
        self._outcomes: Final[list[models.Signature | models.Failure | None]] = [None] * count
        self._missing = count
        self.future: Final[asyncio.Future[list[models.Signature | models.Failure]]] = loop.create_future()

    def settle(self, place: int, outcome: Outcome, leaf: Leaf | None = None, /) -> None:
        outcomes = self._outcomes
        if outcomes[place] is not None:
            return
        name = self._ids[place] if self._ids is not None else ""
        if isinstance(outcome, bytes):
            outcomes[place] = models.Signature(outcome, name, None, *(leaf or ()))
        else:
            outcomes[place] = models.Failure(outcome, name)
        self._missing -= 1
        if not self._missing and not self.future.done():
            self.future.set_result([one for one in outcomes if one is not None])

    def waits_at(self, place: int) -> bool:
        return self._outcomes[place] is None and not self.future.done()

    def give_up(self, error: SegelError) -> None:
        """Everything that is still missing failed with `error`."""
        for place in range(len(self._outcomes)):
            self.settle(place, error)


class Batch:
    """One message of the stream, from when it is made until every place is settled.

    Once it was sent, neither its content nor its request id may change: sent again, it must be known as the same.
    """

    __slots__ = ("deadline", "message", "octets", "places", "receiver", "tries")

    def __init__(
        self, message: signing.SignStreamRequest, places: Sequence[int], receiver: Receiver, deadline: float
    ) -> None:
        self.message: Final = message
        self.places: Final = places
        self.receiver: Final = receiver
        self.deadline: Final = deadline
        self.octets: Final = message.ByteSize()
        self.tries = 0

    @classmethod
    def of(
        cls,
        way: Way,
        data: Sequence[bytes],
        receiver: Receiver,
        deadline: float,
        ids: Sequence[str] | None = None,
    ) -> Self:
        """A new batch; the places are the positions in `data`."""
        message = signing.SignStreamRequest()
        request = message.batch
        request.key = way.key
        request.algorithm = way.algorithm  # type: ignore[assignment]
        request.ecdsa_encoding = way.encoding  # type: ignore[assignment]
        request.request_id = uuid.uuid4().hex
        add = request.inputs.add
        if way.is_message:
            for one in data:
                add(message=one)
        else:
            for one in data:
                add(digest=one)
        if ids is not None:
            for item, name in zip(request.inputs, ids, strict=True):
                item.id = name
        return cls(message, range(len(data)), receiver, deadline)

    @property
    def request_id(self) -> str:
        return self.message.batch.request_id

    def __len__(self) -> int:
        return len(self.places)

    def is_wanted(self) -> bool:
        """Whether anybody still waits for any of it."""
        return any(map(self.receiver.waits_at, self.places))

    def part(self, positions: Sequence[int]) -> Self:
        """Some of it as a batch of its own, with a request id of its own."""
        message = signing.SignStreamRequest()
        whole, part = self.message.batch, message.batch
        part.key, part.request_id = whole.key, uuid.uuid4().hex
        part.algorithm, part.ecdsa_encoding = whole.algorithm, whole.ecdsa_encoding
        part.inputs.extend([whole.inputs[at] for at in positions])
        batch = type(self)(message, [self.places[at] for at in positions], self.receiver, self.deadline)
        batch.tries = self.tries
        return batch

    def settle_all(self, outcome: SegelError) -> None:
        for place in self.places:
            self.receiver.settle(place, outcome)
