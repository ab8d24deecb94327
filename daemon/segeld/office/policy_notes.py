"""What an officer should think of before a policy is put in force, though it is no fault and gives nobody more: pure."""

from collections.abc import Callable, Iterator
from typing import Final

from segeld.policy import Policy

_NAMED: Final = 5
"""SANs that a note names."""


def notes(before: Policy, after: Policy, shut_out_with: Callable[[str], str]) -> tuple[str, ...]:
    """:param shut_out_with: the revoked caller who was known by a SAN; empty if there is none."""
    return (*_ambiguous(before, after), *_shut_out(after, shut_out_with))


def _ambiguous(before: Policy, after: Policy) -> Iterator[str]:
    """Which certificates are whose cannot be seen in a policy."""
    gone = sorted(before.principals.keys() - after.principals.keys())
    if not gone:
        return
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    yield (
        f"{', '.join(gone[:_NAMED])}{more}: nobody's from now on. A certificate that names one of these beside a SAN of "
        "somebody else was refused, as it named two; from now on it lets that other in. If there is such a certificate, "
        "revoke it first: segelctl caller revoke sha256-…"
    )


def _shut_out(after: Policy, shut_out_with: Callable[[str], str]) -> Iterator[str]:
    for san, who in sorted(after.principals.items()):
        name = shut_out_with(san)
        if name and name != who.name:
            yield (
                f"{san}: was shut out with {name}, and stays so as {who.name} until {name} is let in again: segelctl "
                f"caller unrevoke {name}"
            )
