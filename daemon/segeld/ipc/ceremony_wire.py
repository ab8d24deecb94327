"""What the front asks of a worker beside signing: what officers do to a token. Part of `worker_wire`.

The secrets for it are not here: they come in one frame over the pin socket (`pin_wire.Secrets`), before the request.
"""

import msgspec

from segeld.ipc.worker_frames import Answer, Request, TokenInfo
from segeld.model.algorithm import KeyKind


class InitToken(Request, frozen=True):
    """C_InitToken with the first secret, the SO PIN: erases what is in a slot. No token is open in this process."""

    slot_id: int
    serial: str
    """Of the token that was seen there; another one is left alone."""
    label: str
    """The new one: at most 32 octets."""


class InitPin(Request, frozen=True):
    """C_Login as SO with the first secret, and C_InitPIN with the second. No token is open in this process."""

    slot_id: int
    serial: str | None
    """Of the token that was seen there; None: it was just initialised in this process and may have got a new one."""


class TokenSet(Answer, frozen=True):
    """The answer to both: the token as it is now."""

    token: TokenInfo


class ChangePin(Request, frozen=True):
    """C_SetPIN as the user, from the first secret to the second."""


class PinChanged(Answer, frozen=True):
    pass


class ListObjects(Request, frozen=True):
    """Everything that the token shows: to its user, or before the login to anybody."""


class FoundObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One object. What the module does not say of it is in neither list."""

    object_class: str
    label: str
    cka_id: bytes
    kind: str
    """For people; empty if there is no word for it."""
    bits: int
    """Of an RSA key; else 0."""
    public_key: bytes | None
    """SubjectPublicKeyInfo, DER: of a public key or a certificate, and of a private key that shows it or has one with
    its CKA_ID beside it."""
    attributes: tuple[str, ...]
    """CKA_ names without prefix of what is true."""
    denied: tuple[str, ...]
    """Of what is false."""


class ObjectsListed(Answer, frozen=True):
    objects: tuple[FoundObject, ...]


class GenerateKey(Request, frozen=True):
    """C_GenerateKeyPair: to sign with and for nothing else, and never out of the token."""

    label: str
    cka_id: bytes
    kind: KeyKind


class KeyGenerated(Answer, frozen=True):
    public_key: bytes
    """SubjectPublicKeyInfo, DER."""


class StoreCertificates(Request, frozen=True):
    """C_CreateObject for each that is not there yet. The first is the key's own and gets its CKA_ID and label."""

    public_key: bytes
    """SubjectPublicKeyInfo, DER, of the key."""
    chain: tuple[bytes, ...]
    """DER."""
    configured: tuple[bytes, ...] = ()
    """Public keys that the configuration names, SubjectPublicKeyInfo, DER: the key may have no other on the token."""


class CertificatesStored(Answer, frozen=True):
    stored: int
    """How many were not there before."""


class DestroyKey(Request, frozen=True):
    """C_DestroyObject: the private key, its public object, the certificates of that key and no others."""

    public_key: bytes
    configured: tuple[bytes, ...] = ()
    """Public keys that the configuration names, SubjectPublicKeyInfo, DER: the key may have no other on the token."""


class KeyDestroyed(Answer, frozen=True):
    removed: int
    """Objects; 0 if the token did not hold it."""
    left: int = 0
    """Public objects and certificates of the key that the token would not remove."""


CeremonyRequest = InitToken | InitPin | ChangePin | ListObjects | GenerateKey | StoreCertificates | DestroyKey
CeremonyAnswer = TokenSet | PinChanged | ObjectsListed | KeyGenerated | CertificatesStored | KeyDestroyed
