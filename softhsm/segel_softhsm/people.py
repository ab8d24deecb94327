"""Who has a TLS client certificate in a testbed. The SAN is `spiffe://segel.test/<role>/<name>`."""

from dataclasses import dataclass
from typing import Final, Literal

TRUST_DOMAIN: Final = "segel.test"


@dataclass(frozen=True, slots=True)
class Person:
    """One client certificate. `expired` and `foreign` ones claim the SAN of a good one: only the flaw differs."""

    name: str
    role: Literal["caller", "officer", "auditor", "approver"]
    claims: str = ""
    flaw: Literal["", "expired", "foreign"] = ""

    @property
    def uri(self) -> str:
        """The only SAN of the certificate."""
        return f"spiffe://{TRUST_DOMAIN}/{self.role}/{self.claims or self.name}"


PEOPLE: Final = (
    Person("backoffice", "caller"),
    Person("registry", "caller"),
    Person("stranger", "caller"),  # valid, and in no policy
    Person("wayan", "officer"),
    Person("made", "officer"),
    Person("ketut", "auditor"),
    Person("nyoman", "approver"),
    Person("backoffice-expired", "caller", claims="backoffice", flaw="expired"),
    Person("foreign", "caller", claims="backoffice", flaw="foreign"),
)
