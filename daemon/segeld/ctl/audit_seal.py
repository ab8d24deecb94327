"""What became of a PDF after it was sealed: the log proves the signature, and this that the document is the one it is of."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segeld.model.algorithm import BY_NUMBER
from segeld.model.counts import counted, fitting

if TYPE_CHECKING:
    from segeld.audit.leaf import Intent
    from segeld.ctl.audit_pdf import Seal


@dataclass(frozen=True, slots=True)
class Standing:
    """How a document stands to a signature that the log knows."""

    words: str
    changed: bool
    """Whether this is not, or not only, what was signed."""
    why: str = ""
    """What the change is, as far as that is known."""
    added: tuple[str, ...] = ()
    """What was added and changes nothing."""


def standing(seal: "Seal", intent: "Intent") -> Standing:
    """A signature value can be copied into another document: so what it is over is looked at, with the key that made it."""
    if not seal.fits:
        return Standing(
            "THE DOCUMENT WAS CHANGED after it was signed: it is not what was signed", changed=True
        )
    public = next((one for one in seal.keys if hashlib.sha256(one).digest() == intent.key), None)
    if public is None:
        return Standing(
            "whether it is of this document cannot be checked: the certificate of that key is not in it",
            changed=True,
        )
    if not _verifies(public, seal, intent.algorithm):
        return Standing("the signature was COPIED FROM ANOTHER DOCUMENT into this one", changed=True)
    if not seal.added:
        return Standing("the document is unchanged", changed=False)
    return _since(seal)


def _since(seal: "Seal") -> Standing:
    """How it stands with what was added."""
    later = seal.later
    octets, were = counted(seal.added, "octet"), fitting(seal.added, "was", "were")
    if later.changed:
        words = f"THE DOCUMENT WAS CHANGED after it was signed: {octets} {were} added"
        if not later.known:
            words += f", and what that is cannot be told: {later.changed}"
        return Standing(words, changed=True, why=later.changed)
    added = " and ".join(later.added)
    if later.newest == seal.place:
        words = f"the document is unchanged; {added} {fitting(len(later.added), 'was', 'were')} added later"
        return Standing(words, changed=False, added=later.added)
    words = f"{octets} {were} added, and signed by signature {seal.numbers[later.newest]}"
    if added:
        words += f"; {added} after that"
    return Standing(words, changed=False, added=later.added)


def _verifies(public: bytes, seal: "Seal", number: int) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if number not in BY_NUMBER:
        return False
    try:
        key: Any = load_der_public_key(public)
        key.verify(
            seal.value, seal.signed, *_how(BY_NUMBER[number].scheme, BY_NUMBER[number].hash_name or "")
        )
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, AttributeError):
        return False
    return True


def _how(scheme: str, name: str) -> tuple[Any, ...]:
    """What `verify` of a public key takes after signature and data."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    if scheme == "ed25519":
        return ()
    chosen = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]
    if scheme == "ecdsa":
        return (ec.ECDSA(chosen),)
    if scheme == "rsa-pss":
        return padding.PSS(padding.MGF1(chosen), padding.PSS.AUTO), chosen
    return padding.PKCS1v15(), chosen
