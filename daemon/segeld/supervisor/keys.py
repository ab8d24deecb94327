"""What a worker found on a token, as keys with names; and the proof that each private key fits its public one."""

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from segeld.config.certificates import public_key_of
from segeld.config.schema import Token
from segeld.ipc.worker_wire import FoundKey, ItemFailed, Remedy
from segeld.model import weak_objects
from segeld.model.algorithm import MAX_MESSAGE, Algorithm, EcdsaEncoding, algorithms_for
from segeld.model.chains import extended
from segeld.model.deadline import Deadline
from segeld.model.faults import Reason
from segeld.model.inventory import TokenKey
from segeld.model.names import KeyName
from segeld.supervisor.worker_handle import WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)
_PROBE: Final = b"segel-probe-v1"


class Beside:
    """What the configuration adds to a token: public keys and certificates that are not on it."""

    def __init__(self, config: Token) -> None:
        """Reads the files; they were checked when the configuration was loaded."""
        self.public_keys: Final = tuple(public_key_of(path.read_bytes()) for path in config.public_keys)
        self._certificates: Final = tuple(
            certificate
            for path in config.certificates
            for certificate in x509.load_pem_x509_certificates(path.read_bytes())
        )

    def chain(self, public_key: bytes | None, on_token: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The key's chain from the token, or else from the files; completed with issuers from the files."""
        chain = [x509.load_der_x509_certificate(der) for der in on_token]
        if not chain:
            own = [
                certificate for certificate in self._certificates if _public_key(certificate) == public_key
            ]
            now = dt.datetime.now(dt.UTC)
            own.sort(key=lambda one: (one.not_valid_before_utc <= now, one.not_valid_before_utc))
            chain = own[-1:]
        return tuple(one.public_bytes(Encoding.DER) for one in extended(chain, self._certificates))


def _public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def named(found: FoundKey, beside: Beside, weak: tuple[str, ...] = ()) -> TokenKey:
    """One private key of a token, with its immutable name if its public key is known."""
    unusable, trouble = found.unusable, found.trouble
    if unusable is None and (found.kind is None or found.public_key is None):
        unusable, trouble = Reason.KEY_UNUSABLE, "It is of a kind that segel does not sign with."
    return TokenKey(
        label=found.label,
        cka_id=found.cka_id,
        kind=found.kind,
        name=KeyName.of(found.public_key) if found.public_key is not None else None,
        public_key=found.public_key,
        chain=beside.chain(found.public_key, found.certificates),
        unusable=unusable,
        trouble=trouble,
        always_authenticate=found.always_authenticate,
        weak=weak,
        certificates=found.certificates,
    )


def weaknesses(found: Sequence[FoundKey]) -> list[tuple[str, ...]]:
    """For each key, in their order, what makes it weak: a sentence each."""
    private = [
        weak_objects.Facts(
            weak_objects.PRIVATE,
            key.cka_id,
            key.bits,
            key.public_key,
            frozenset(key.attributes),
            frozenset(key.denied),
        )
        for key in found
    ]
    # Where its public key comes from is said elsewhere.
    public = [
        weak_objects.Facts(weak_objects.PUBLIC, b"", 0, key.public_key, frozenset(), frozenset())
        for key in found
    ]
    return weak_objects.warnings([*private, *public])[: len(private)]


def to_prove(keys: Iterable[TokenKey]) -> frozenset[KeyName]:
    """Every usable key, but never one that wants its PIN before each signature: nobody asked for that."""
    return frozenset(
        key.name
        for key in keys
        if key.name is not None and key.unusable is None and not key.always_authenticate
    )


async def proved(worker: WorkerHandle, key: TokenKey, patience: float) -> TokenKey:
    """Signs a probe with a usable key; if that fails, the key is shown as unusable. It was recorded before, and between this
    call and the worker's frame nothing is waited for.

    The probe is SHA-256 of `segel-probe-v1` and a nonce, so it is no digest of anybody's document.

    :raises WorkerLost: if the worker ends meanwhile, or its token is gone.
    """
    assert key.kind is not None
    assert key.name is not None
    algorithm = algorithms_for(key.kind)[0]
    outcome = await _sign_probe(worker, key.name, algorithm, patience)
    if isinstance(outcome, bytes):
        return key
    if outcome.remedy is not Remedy.ITEM:
        raise WorkerLost(f"the probe of {key.name} failed ({outcome.reason}, CKR {outcome.ckr:#x})")
    _log.error(
        "key unusable", key=str(key.name), label=key.label, reason=outcome.reason, ckr=f"{outcome.ckr:#x}"
    )
    trouble = f"A probe signature with it failed ({outcome.reason}, CKR {outcome.ckr:#x})."
    return replace(key, unusable=Reason.KEY_UNUSABLE, trouble=trouble)


async def _sign_probe(
    worker: WorkerHandle, name: KeyName, algorithm: Algorithm, patience: float
) -> bytes | ItemFailed:
    message = _PROBE + secrets.token_bytes(16)
    data = hashlib.new(algorithm.hash_name, message).digest() if algorithm.hash_name else message
    assert len(data) <= MAX_MESSAGE
    signed = await worker.sign(
        name.fingerprint,
        algorithm.number,
        EcdsaEncoding.DER,
        urgent=False,
        deadlines=(Deadline.after(patience).at,),
        inputs=(data,),
        patience=patience,
    )
    return signed.outcomes[0]
