"""What officers have decided of keys, laid over what the tokens hold."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from segeld.model.faults import Fault
from segeld.model.inventory import KeyRecord
from segeld.model.names import KeyName


class Custody(Protocol):
    def chain(self, key: KeyName, found: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The key's certificate and its issuers, DER, given those on its tokens."""
        ...

    def bar(self, record: KeyRecord) -> Fault | None:
        """Why nothing is signed with it, whatever its tokens can; None if it may be."""
        ...


class _Free:
    def chain(self, key: KeyName, found: tuple[bytes, ...]) -> tuple[bytes, ...]:  # noqa: ARG002
        return found

    def bar(self, record: KeyRecord) -> Fault | None:  # noqa: ARG002
        return None


FREE: Final[Custody] = _Free()
"""Nothing is decided of any key."""


def in_custody(
    found: Mapping[KeyName, KeyRecord], custody: Custody
) -> tuple[dict[KeyName, KeyRecord], dict[KeyName, Fault]]:
    """The keys as they may be used, and those that are barred. What a token cannot do anyway stays said as it is."""
    keys: dict[KeyName, KeyRecord] = {}
    barred: dict[KeyName, Fault] = {}
    for name, each in found.items():
        chain = custody.chain(name, each.chain)
        record = each if chain is each.chain else replace(each, chain=chain)
        fault = custody.bar(record)
        if fault is not None:
            barred[name] = fault
            if record.unusable is None:
                record = replace(record, unusable=fault.reason, trouble=fault.text)
        keys[name] = record
    return keys, barred
