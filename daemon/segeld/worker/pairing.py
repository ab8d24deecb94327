"""Which public key belongs to which private key. Pure.

In this order: a public object with the same CKA_ID and a matching type, a certificate with the same CKA_ID, the
modulus and exponent that an RSA private key shows of itself, a configured public key. A source that answers with
one key decides; one that answers with two decides that the key is ambiguous.

A configured key of an elliptic curve has nothing in common with its private object that could be compared. It is
taken if on this token exactly one private key of its kind is left without a public key, and exactly one configured
key of that kind without a private one. That it fits is proved by signatures, each of which is verified; the
front asks for one, audited as a probe, before the key is used. The worker itself signs nothing unasked.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from segeld.ipc.worker_wire import FoundKey
from segeld.model.algorithm import KeyKind
from segeld.model.chains import is_authority
from segeld.model.faults import Reason
from segeld.worker import public_keys
from segeld.worker.chains import chain_of
from segeld.worker.objects import CertificateObject, Objects, PrivateObject, PublicObject
from segeld.worker.public_keys import PublicKey

_SAME_ID: Final = (
    "Another private key on this token has the same CKA_ID, so it cannot be told which of them would sign."
    " Remove one, or give it a CKA_ID of its own."
)
_SAME_KEY: Final = (
    "Another private object on this token has the same public key, so it cannot be told which of them would sign."
    " Remove one of the two."
)
_TWO_PUBLIC: Final = (
    "More than one public key could belong to it. Remove the wrong ones, or give them a CKA_ID of their own."
)
_NO_PUBLIC: Final = (
    "No public key belongs to it: no public object and no certificate on the token has its CKA_ID."
    " Import its certificate, or name its public key in the configuration."
)
_NO_SIGN: Final = "The token does not allow signatures with it (CKA_SIGN is false)."
_NO_KIND: Final = "It is of a kind or size that segel does not sign with."


@dataclass(frozen=True, slots=True)
class Paired:
    found: FoundKey
    key: PublicKey | None
    private: PrivateObject | None
    """None for what was found before the login, when private objects hide."""

    @property
    def usable(self) -> bool:
        return self.key is not None and self.private is not None and self.found.unusable is None


def pair(objects: Objects, configured: Sequence[PublicKey], *, no_always: str | None = None) -> list[Paired]:
    """Every private object, with its public key or the reason why it has none that can be used.

    :param no_always: why keys that want their PIN before each signature cannot be used; None if they can.
    """
    candidates = [_candidates(private, objects) for private in objects.private]
    _take_configured(objects.private, candidates, configured)
    ids = Counter(private.cka_id for private in objects.private if private.cka_id)
    keys = Counter(next(iter(found)) for found in candidates if len(found) == 1)
    return [
        _paired(
            private,
            found,
            objects.certificates,
            same_id=ids[private.cka_id] > 1,
            same_key=any(keys[spki] > 1 for spki in found),
            no_always=no_always,
        )
        for private, found in zip(objects.private, candidates, strict=True)
    ]


def public_only(objects: Objects, paired: Iterable[Paired]) -> list[Paired]:
    """What public objects and certificates show before the login, beside `paired`: keys that may be there."""
    known = {one.found.public_key for one in paired}
    shown = []
    shown_by: list[PublicObject] = [*objects.public]
    shown_by += [found for found in objects.certificates if not is_authority(found.certificate)]
    for found in shown_by:
        spki = public_keys.to_spki(found.key)
        kind = public_keys.kind_of(found.key)
        if spki in known or kind is None:
            continue
        known.add(spki)
        chain = chain_of(spki, found.cka_id, objects.certificates)
        shown.append(
            Paired(
                FoundKey(found.label, found.cka_id, kind, spki, chain, always_authenticate=False),
                found.key,
                None,
            )
        )
    return shown


_Candidates = dict[bytes, PublicKey]
"""Public keys by their SubjectPublicKeyInfo."""


def _candidates(private: PrivateObject, objects: Objects) -> _Candidates:
    if private.cka_id:
        sources: tuple[Sequence[PublicObject], ...] = (objects.public, objects.certificates)
        for source in sources:
            found = {
                public_keys.to_spki(one.key): one.key
                for one in source
                if one.cka_id == private.cka_id and _fits(private, one.key)
            }
            if found:
                return found
    if private.own_public is not None:
        return {public_keys.to_spki(private.own_public): private.own_public}
    return {}


def _fits(private: PrivateObject, key: PublicKey) -> bool:
    """Whether nothing that the private object shows of itself speaks against it."""
    if private.own_public is not None:
        return public_keys.to_spki(private.own_public) == public_keys.to_spki(key)
    kind = public_keys.kind_of(key)
    return kind == private.kind if private.kind is not None else public_keys.key_type(key) == private.key_type


def _take_configured(
    privates: Sequence[PrivateObject], candidates: list[_Candidates], configured: Sequence[PublicKey]
) -> None:
    taken = {spki for found in candidates for spki in found}
    spare = {spki: key for key in configured if (spki := public_keys.to_spki(key)) not in taken}
    for kind in KeyKind:
        alone = [
            place
            for place, private in enumerate(privates)
            if not candidates[place] and private.kind is kind and private.may_sign
        ]
        if len(alone) == 1:
            candidates[alone[0]] = {
                spki: key for spki, key in spare.items() if public_keys.kind_of(key) is kind
            }


def _paired(
    private: PrivateObject,
    candidates: _Candidates,
    certificates: Sequence[CertificateObject],
    *,
    same_id: bool,
    same_key: bool,
    no_always: str | None,
) -> Paired:
    spki, key = next(iter(candidates.items())) if len(candidates) == 1 else (None, None)
    kind = private.kind or (public_keys.kind_of(key) if key is not None else None)
    unusable, trouble = None, ""
    if not private.may_sign:
        unusable, trouble = Reason.KEY_UNUSABLE, _NO_SIGN
    elif kind is None:
        unusable, trouble = Reason.KEY_UNUSABLE, _NO_KIND
    elif same_id or same_key or len(candidates) > 1:
        unusable = Reason.KEY_AMBIGUOUS
        trouble = _SAME_ID if same_id else _SAME_KEY if same_key else _TWO_PUBLIC
    elif key is None:
        unusable, trouble = Reason.KEY_UNUSABLE, _NO_PUBLIC
    elif private.always_authenticate and no_always is not None:
        unusable, trouble = Reason.KEY_UNUSABLE, no_always
    chain = chain_of(spki, private.cka_id, certificates) if spki is not None else ()
    found = FoundKey(
        private.label,
        private.cka_id,
        kind,
        spki,
        chain,
        private.always_authenticate,
        unusable,
        trouble,
        bits=key.key_size if isinstance(key, RSAPublicKey) else 0,
        attributes=private.flags.true,
        denied=private.flags.false,
    )
    return Paired(found, key, private)
