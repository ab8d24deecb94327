"""What the daemon says about its policy and its callers, as plain frozen values."""

import datetime as dt
from dataclasses import dataclass

__all__ = [
    "Caller",
    "Callers",
    "Difference",
    "Explanation",
    "Policy",
    "PolicyCheck",
    "Revoked",
    "RevokedCertificate",
]


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy in force."""

    toml: str
    hash: bytes
    """SHA-256 of it: the ``base`` of a change that was made from it."""
    apply_time: dt.datetime
    requested_by: str
    """Empty: it was taken from the file at the daemon's first start."""
    approved_by: str
    """Empty if nobody had to."""
    two_person: bool
    warnings: tuple[str, ...]
    """What officers should know, a sentence each."""
    file_differs: bool = False
    """Whether the file on disk is another policy, which has no effect."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between two policies."""

    text: str
    widens: bool
    """Whether it gives somebody more than before."""


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """What a policy would change."""

    problems: tuple[str, ...]
    """With any of them it cannot be applied."""
    differences: tuple[Difference, ...]
    needs_approval: bool
    """Whether another officer must say yes to it."""
    warnings: tuple[str, ...]
    """What is likely not meant; it can be applied all the same."""
    base: bytes = b""
    """SHA-256 of the policy in force that it was compared with."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something is allowed or not."""

    allowed: bool
    steps: tuple[str, ...]
    """The last one decided."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the policy, or somebody else who was revoked by name."""

    name: str
    sans: tuple[str, ...]
    """Empty if it is not in the policy any more."""
    revoke_time: dt.datetime | None
    """None if it was not revoked."""
    revoked_by: str
    revoke_reason: str
    certificate_end: dt.datetime | None
    """Of the certificate that it last came with; None if it has not come since the daemon was started."""
    certificate: str
    """``sha256-…`` of that certificate; empty if there is none."""


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    fingerprint: str
    """``sha256-…`` of the DER."""
    revoke_time: dt.datetime | None
    revoked_by: str
    revoke_reason: str


@dataclass(frozen=True, slots=True)
class Callers:
    callers: tuple[Caller, ...]
    """Ordered by name."""
    certificates: tuple[RevokedCertificate, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """What came of shutting somebody out."""

    cut: int
    """Calls and streams that were cut."""
    jobs_held: int
    """Jobs that wait now until the caller is let in again."""
