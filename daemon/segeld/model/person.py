"""Somebody who asked for something or agreed to it: what tells one person from another."""

import msgspec


class Person(msgspec.Struct, frozen=True):
    """A principal, as the policy knew them when they acted."""

    name: str
    identity: str
    """The SAN that decided."""
    fingerprint: bytes = b""
    """SHA-256 of the certificate."""

    def is_same_as(self, other: "Person") -> bool:
        """Several certificates of one person are one name; one certificate under two names is one person as well."""
        return (
            self.name == other.name
            or self.identity == other.identity
            or (self.fingerprint != b"" and self.fingerprint == other.fingerprint)
        )
