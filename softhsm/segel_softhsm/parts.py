"""What a testbed consists of: tokens, keys, certificates, and the files of each. Plain data."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from segel_softhsm.kinds import KeyKind


@dataclass(frozen=True, slots=True)
class TestKey:
    """One private key on one token, with the files that go with it."""

    __test__: ClassVar[bool] = False

    label: str
    cka_id: str  # hexadecimal
    kind: KeyKind
    origin: Literal["generated", "imported"]
    public_object: bool  # the token has the public key as an object
    certificate_object: bool  # the token has the certificate as an object
    spki_sha256: str  # hexadecimal SHA-256 of the DER SubjectPublicKeyInfo
    public_key: Path
    certificate: Path
    chain: Path  # leaf, issuing CA, root


@dataclass(frozen=True, slots=True)
class TestCertificate:
    """A certificate without a key: on the token, and as a file."""

    __test__: ClassVar[bool] = False

    label: str
    cka_id: str
    certificate: Path
    chain: Path


@dataclass(frozen=True, slots=True)
class TestToken:
    """One initialised SoftHSM2 token."""

    __test__: ClassVar[bool] = False

    label: str
    serial: str
    pin_file: Path
    so_pin_file: Path
    keys: tuple[TestKey, ...]

    def key(self, label: str) -> TestKey:
        """Return the key of this label; KeyError if there is none."""
        for key in self.keys:
            if key.label == label:
                return key
        raise KeyError(label)

    def read_pin(self) -> str:
        """Return the user PIN."""
        return self.pin_file.read_text()

    def read_so_pin(self) -> str:
        """Return the security officer's PIN."""
        return self.so_pin_file.read_text()


@dataclass(frozen=True, slots=True)
class Credential:
    """A private key and the chain that certifies it: leaf first, then the issuing CA."""

    cert_chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Identity:
    """A TLS client: its chain, its key and the only SAN of its certificate."""

    cert_chain: Path
    key: Path
    uri: str


@dataclass(frozen=True, slots=True)
class TestPki:
    """The certificates of a testbed."""

    __test__: ClassVar[bool] = False

    root_ca: Path
    issuing_ca: Path
    ca_bundle: Path  # what TLS peers trust: both of the above
    foreign_root_ca: Path  # another root, which nobody here trusts
    server: Credential
    tsa: Credential
    ocsp: Credential
    identities: dict[str, Identity]
    certomancer_config: Path
