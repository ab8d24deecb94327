"""Calls that are being served, so that those of whoever is shut out can be cut at once."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from segeld.model.faults import Fault, Reason
from segeld.model.principal import Principal
from segeld.policy import Policy
from segeld.rpc.identity import Certificate, principal_of
from segeld.rpc.seen import Seen

Refusal = Callable[[Principal, bytes, tuple[str, ...]], Fault | None]
"""Why a principal with a certificate of this fingerprint and these SANs is shut out; None if it is not."""

_log: Final = structlog.get_logger(__name__)


def _nobody(who: Principal, fingerprint: bytes, sans: tuple[str, ...]) -> Fault | None:  # noqa: ARG001
    return None


class OpenCall:
    """One call and the task that serves it."""

    def __init__(self, who: Principal, certificate: Certificate) -> None:
        self.who: Final = who
        self.certificate: Final = certificate
        self.cut: Fault | None = None
        """Why it is given up."""
        self._task = asyncio.current_task()

    def give_up(self, why: Fault) -> None:
        """Cancels its work: whoever serves it answers with `cut`."""
        if self.cut is None and self._task is not None:
            self.cut = why
            self._task.cancel()

    def survives(self) -> bool:
        """Whether the task goes on after it was cancelled: not if the client went away as well."""
        return self._task is not None and self._task.uncancel() == 0


class OpenCalls:
    """`admit` each call, keep it `serving`, and `review` them all when the policy, or who is revoked, changed."""

    def __init__(
        self, policy: Callable[[], Policy], refusal: Refusal = _nobody, seen: Seen | None = None
    ) -> None:
        self._policy = policy
        self._refusal = refusal
        self._open: set[OpenCall] = set()
        self._cut: Counter[str] = Counter()
        """Calls that the last review found to be given up, by the name and by the certificate of whoever called."""
        self._seen = seen or Seen()
        self.came: Final[list[Callable[[], None]]] = []
        """Called when somebody comes with another certificate than before."""

    def admit(self, certificate: Certificate) -> Principal:
        """Who comes.

        :raises Fault: CALLER_UNKNOWN, CALLER_REVOKED.
        """
        who = principal_of(certificate, self._policy())
        fault = self._refusal(who, certificate.fingerprint, certificate.sans)
        if fault is not None:
            raise fault
        if self._seen.note(who.name, certificate):
            for each in self.came:
                each()
        return who

    @contextmanager
    def serving(self, who: Principal, certificate: Certificate) -> Iterator[OpenCall]:
        """The call of this task, as long as it lasts."""
        call = OpenCall(who, certificate)
        self._open.add(call)
        try:
            yield call
        finally:
            self._open.discard(call)

    def review(self) -> None:
        """Cuts the calls of all who would not be admitted now as what they were."""
        cut = 0
        for call in list(self._open):
            fault = self._fault(call)
            if fault is not None:
                call.give_up(fault)
                cut += 1
        given_up = [call for call in self._open if call.cut is not None]
        self._cut = Counter(
            subject for call in given_up for subject in (call.who.name, _print(call.certificate))
        )
        if cut:
            _log.warning("calls were cut", calls=cut)

    def _fault(self, call: OpenCall) -> Fault | None:
        try:
            who = principal_of(call.certificate, self._policy())
        except Fault as fault:
            return fault
        if (who.name, who.role) != (call.who.name, call.who.role):
            return Fault(
                Reason.CALLER_UNKNOWN, "The policy changed: you are not who you were. Connect again."
            )
        return self._refusal(who, call.certificate.fingerprint, call.certificate.sans)

    def cut(self, subject: str) -> int:
        """Calls that were given up when it was last asked who may stay, of a principal or with a certificate: its
        `sha256-…`. They may have ended since.
        """
        return self._cut[subject]

    def ends(self) -> list[tuple[str, float]]:
        """Whoever came since the daemon was started and still may, and when their certificate ends, in seconds since the
        epoch. If they come with several, the one that ends first: else a warning would come and go.
        """
        found: dict[str, float] = {}
        for name, each in self._seen.in_use():
            if self._is_welcome(name, each):
                found[name] = min(found.get(name, math.inf), each.not_after.timestamp())
        return list(found.items())

    def _is_welcome(self, name: str, certificate: Certificate) -> bool:
        """But for its date: whose certificate has ended is to be told of."""
        who = self._policy().principal(certificate.sans)
        if who is None or who.name != name:
            return False
        return self._refusal(who, certificate.fingerprint, certificate.sans) is None

    def last_seen(self, name: str) -> Certificate | None:
        """The certificate that a principal last came with since the daemon was started."""
        return self._seen.last(name)


def _print(certificate: Certificate) -> str:
    return f"sha256-{certificate.fingerprint.hex()}"
