"""Signs with one key."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterable, Iterable
from typing import Final, Literal

from segel._algorithms import Algorithm
from segel._batch import Bulk, Way
from segel._chunks import Item, chunked, octets
from segel._convert import NUMBER_OF
from segel._gather import Gatherer
from segel.errors import BadRequest
from segel.models import Failure, Key, Signature
from segel.v1 import resources_pb2 as resources

SIGN_TIMEOUT: Final = 60.0
"""Seconds within which a signature must be there."""
MAX_MESSAGE: Final = 65_536
"""Octets of a message that is signed as it is, which only Ed25519 does."""

_ENCODING: Final = {
    "der": resources.ECDSA_ENCODING_DER,
    "p1363": resources.ECDSA_ENCODING_P1363,
}
_BATCHES_AHEAD: Final = 4  # enough to keep the daemon busy, and few enough to hold in memory
_HASHED_IN_PLACE: Final = 256 * 1024  # octets; hashing more would hold up the event loop

Ecdsa = Literal["der", "p1363"]


class Signer:
    """Signs with one immutable key. Made by `Client.signer`; lives as long as its client.

    Any number of calls may run at once: they are gathered, and share one stream with all signers of the client.

    :ivar key: the key with its certificate chain, as it was when the signer was made.
    :ivar algorithm: how it signs.
    :ivar ecdsa: how an ECDSA signature is written down: ``"der"`` or ``"p1363"``.
    """

    def __init__(self, gatherer: Gatherer, key: Key, algorithm: Algorithm, ecdsa: Ecdsa) -> None:
        self.key: Final = key
        self.algorithm: Final = algorithm
        self.ecdsa: Final[Ecdsa] = ecdsa
        self._gatherer = gatherer
        self._size = algorithm.digest_size
        self._way = Way(key.name, NUMBER_OF[algorithm], _ENCODING[ecdsa], is_message=self._size is None)

    def __repr__(self) -> str:
        return f"Signer({self.key.name}, {self.algorithm.value})"

    @property
    def certificate_chain(self) -> tuple[bytes, ...]:
        """DER, the key's own certificate first; empty if there is none."""
        return self.key.certificate_chain

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """What the key can be asked for, the default first."""
        return self.key.algorithms

    async def sign_digest(self, digest: bytes, *, timeout: float = SIGN_TIMEOUT) -> bytes:  # noqa: ASYNC109
        """Signs one digest of exactly the length of the algorithm's hash.

        Repeats by itself what may be repeated, within `timeout` seconds. Cancelling the call gives it up.

        :raises TypeError: if it is not bytes.
        :raises SegelError: why there is no signature.
        """
        data = octets(digest, "a digest")
        refusal = self._refusal(data)
        if refusal is not None:
            raise refusal
        return await self._gatherer.sign(self._way, data, timeout)

    async def sign_message(self, data: bytes, *, timeout: float = SIGN_TIMEOUT) -> bytes:  # noqa: ASYNC109
        """Signs a message: hashes it here; for Ed25519 sends it, and then it has at most 65,536 octets.

        :raises TypeError: if it is not bytes.
        :raises SegelError: why there is no signature.
        """
        data = octets(data, "a message")
        if self.algorithm.hash_name is None:
            if len(data) > MAX_MESSAGE:
                raise BadRequest(
                    f"A message of {len(data)} octets is longer than the {MAX_MESSAGE} that Ed25519 signs here",
                    reason="MESSAGE_TOO_LONG",
                    code="INVALID_ARGUMENT",
                    facts={"octets": str(len(data)), "most": str(MAX_MESSAGE)},
                )
            return await self._gatherer.sign(self._way, data, timeout)
        if len(data) > _HASHED_IN_PLACE:
            digest = await asyncio.to_thread(self.digest, data)
        else:
            digest = self.digest(data)
        return await self._gatherer.sign(self._way, digest, timeout)

    def digest(self, data: bytes) -> bytes:
        """The digest of `data` under the algorithm's hash.

        :raises BadRequest: INPUT_KIND for Ed25519, which signs the message itself.
        """
        if self.algorithm.hash_name is None:
            raise self._wants_messages()
        return hashlib.new(self.algorithm.hash_name, octets(data, "a message")).digest()

    async def sign_digests(
        self,
        digests: Iterable[Item] | AsyncIterable[Item],
        *,
        timeout: float = SIGN_TIMEOUT,  # noqa: ASYNC109 -- travels to the daemon with each batch
    ) -> list[Signature | Failure]:
        """Signs many digests: one Signature or Failure for each, in order. Raises nothing that an item can carry.

        :param digests: digests, or pairs of an id (at most 128 octets, echoed in the result) and a digest. Read
            as it is needed: only a few thousand are held before they are signed.
        :param timeout: seconds that each batch of up to 1,000 may take.
        :raises ClientClosed: if the client is closed.
        """
        results: list[Signature | Failure] = []
        window: deque[Bulk] = deque()
        try:
            async for data, ids in chunked(digests):
                if len(window) == _BATCHES_AHEAD:
                    results += await self._collect(window)
                bulk = self._gatherer.submit(self._way, data, ids, timeout, self._refusals(data))
                window.append(bulk)
            while window:
                results += await self._collect(window)
        finally:
            for bulk in window:
                bulk.future.cancel()
        return results

    async def _collect(self, window: deque[Bulk]) -> list[Signature | Failure]:
        await self._gatherer.collect(window[0])
        return window.popleft().future.result()

    def _refusals(self, data: list[bytes]) -> dict[int, BadRequest]:
        """Those places that need not be sent, because the daemon can only refuse them."""
        size = self._size
        wrong = [place for place, digest in enumerate(data) if len(digest) != size]
        refusals = ((place, self._refusal(data[place])) for place in wrong)
        return {place: refusal for place, refusal in refusals if refusal is not None}

    def _refusal(self, digest: bytes) -> BadRequest | None:
        if self._size is None:
            return self._wants_messages()
        if len(digest) == self._size:
            return None
        return BadRequest(
            f"A digest of {len(digest)} octets is not one of {self.algorithm.value}, which has {self._size}",
            reason="DIGEST_LENGTH",
            code="INVALID_ARGUMENT",
            facts={"octets": str(len(digest)), "wanted": str(self._size)},
        )

    def _wants_messages(self) -> BadRequest:
        return BadRequest(
            "Ed25519 signs the message itself, not a digest. Use sign_message.",
            reason="INPUT_KIND",
            code="INVALID_ARGUMENT",
        )
