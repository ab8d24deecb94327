"""The keys that this process can sign with: private handles and checks, ready to be used again and again.

Handles are this process's own, found after its login. The table is replaced as a whole by each search, by one
assignment, so a signing thread never sees half of it.
"""

import ctypes
from collections.abc import Iterable
from typing import Any, Final

from segeld.ipc.worker_wire import Sign
from segeld.model.algorithm import BY_NUMBER, Algorithm, EcdsaEncoding
from segeld.model.faults import Reason
from segeld.model.names import KeyName
from segeld.worker import mechanisms, verify
from segeld.worker.pairing import Paired
from segeld.worker.public_keys import PublicKey, kind_of


class Refused(Exception):
    """A chunk that cannot be begun; its text is the reason of each item."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Final = reason


class Plan:
    """All that one C_SignInit and one C_Sign with a key and an algorithm need, and the check of what they give."""

    __slots__ = (
        "_mechanism",
        "algorithm",
        "always_authenticate",
        "check",
        "handle",
        "mechanism",
        "prefix",
        "size",
    )

    def __init__(
        self,
        handle: int,
        key: PublicKey,
        algorithm: Algorithm,
        encoding: EcdsaEncoding,
        *,
        always_authenticate: bool = False,
    ) -> None:
        kind = kind_of(key)
        assert kind is not None
        self.algorithm: Final = algorithm
        self.handle: Final = handle
        self.always_authenticate: Final = always_authenticate
        """The PIN is wanted between C_SignInit and C_Sign."""
        self.size: Final = mechanisms.signature_size(kind)
        self.prefix: Final = mechanisms.prefix(algorithm)
        self._mechanism: Final = mechanisms.mechanism(algorithm)
        self.mechanism: Final[Any] = ctypes.addressof(self._mechanism)
        self.check: Final = verify.check_for(key, algorithm, encoding)


class _SigningKey:
    def __init__(self, key: PublicKey, handle: int, *, always_authenticate: bool) -> None:
        self.key: Final = key
        self.handle: Final = handle
        self.always_authenticate: Final = always_authenticate


class KeyTable:
    """Usable keys by the digest of their SubjectPublicKeyInfo."""

    def __init__(self, paired: Iterable[Paired] = ()) -> None:
        self._keys: dict[bytes, _SigningKey] = {}
        self._plans: dict[tuple[bytes, Algorithm, EcdsaEncoding], Plan] = {}
        for one in paired:
            if one.usable:
                assert one.key is not None
                assert one.private is not None
                assert one.found.public_key is not None
                self._keys[KeyName.of(one.found.public_key).fingerprint] = _SigningKey(
                    one.key, one.private.handle, always_authenticate=one.private.always_authenticate
                )

    def plan(self, request: Sign) -> Plan:
        """:raises Refused: if there is no such key, or it does not sign that way."""
        algorithm = BY_NUMBER.get(request.algorithm)
        if algorithm is None:
            raise Refused(Reason.ALGORITHM_UNKNOWN)
        wanted = (request.key, algorithm, request.encoding)
        plan = self._plans.get(wanted)
        if plan is None:
            plan = self._plans[wanted] = self._make(*wanted)
        return plan

    def _make(self, fingerprint: bytes, algorithm: Algorithm, encoding: EcdsaEncoding) -> Plan:
        found = self._keys.get(fingerprint)
        if found is None:
            raise Refused(Reason.KEY_NOT_FOUND)
        if kind_of(found.key) not in algorithm.key_kinds:
            raise Refused(Reason.ALGORITHM_NOT_SUPPORTED)
        return Plan(
            found.handle, found.key, algorithm, encoding, always_authenticate=found.always_authenticate
        )
