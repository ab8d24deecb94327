"""What the parent asks its two child processes to do, and what they answer: frames of JSON, one a line.

`_tokens` is the only process that loads the PKCS#11 module, `_pki` the only one that imports certomancer.
"""

from dataclasses import dataclass

import msgspec

from segel_softhsm.kinds import KeyKind


class Step(msgspec.Struct, frozen=True, tag=True):
    """One thing to do on an open token."""

    label: str
    cka_id: str


class GenerateKey(Step, frozen=True):
    """Generate a key pair on the token, as an officer would."""

    kind: KeyKind
    public_object: bool = True


class ImportKey(Step, frozen=True):
    """Put a key pair made outside on the token; the same `material` is the same key pair on every token."""

    kind: KeyKind
    material: str
    public_object: bool = True


class ForgetKey(Step, frozen=True):
    """Make a key pair outside and throw its private half away: for a certificate without a key."""

    kind: KeyKind


class StoreCertificate(Step, frozen=True):
    """Put a certificate on the token."""

    pem: str


AnyStep = GenerateKey | ImportKey | ForgetKey | StoreCertificate


class TokenScript(msgspec.Struct, frozen=True):
    """What to do on one token. Without a serial the token is made first."""

    label: str
    pin: str
    so_pin: str
    serial: str
    steps: tuple[AnyStep, ...]


class TokensRequest(msgspec.Struct, frozen=True):
    """What to do on several tokens, in this order."""

    module: str
    tokens: tuple[TokenScript, ...]


class MadePublicKey(msgspec.Struct, frozen=True):
    """The public half of a key that a step made."""

    label: str
    pem: str
    spki_sha256: str


class TokenAnswer(msgspec.Struct, frozen=True):
    """The serial of a token and the keys made on it, in the order of the steps."""

    serial: str
    keys: tuple[MadePublicKey, ...]


class TokensAnswer(msgspec.Struct, frozen=True):
    """One answer for each token of the request."""

    tokens: tuple[TokenAnswer, ...]


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal certificate to issue. All paths are relative to the testbed."""

    name: str  # unique in the PKI
    kind: KeyKind
    public_key: str
    certificate: str
    chain: str


class PkiRequest(msgspec.Struct, frozen=True):
    """Issue seals, after making the whole PKI if `create` says so."""

    directory: str
    seals: tuple[Seal, ...]
    create: bool = False


class PkiAnswer(msgspec.Struct, frozen=True):
    """How many certificates were issued."""

    issued: int


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """A child could not do what it was asked."""

    text: str
