"""Who is asking: a name of the policy, found by a certificate's subject alternative name (never by its CN)."""

import enum
from dataclasses import dataclass


class Role(enum.StrEnum):
    CALLER = "caller"
    OFFICER = "officer"
    AUDITOR = "auditor"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True)
class Principal:
    name: str
    role: Role
    identity: str
    """The SAN that decided, for example `uri:spiffe://example/backoffice`."""
