"""The signing threads: one for each session, all taking from one bench.

Whatever uses a session after the login runs here, the search for keys too, so that no session is ever used by two
threads at once.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pkcs11 import Session

from segeld.ipc.worker_wire import AnyAnswer, ItemFailed, Remedy, Sign
from segeld.worker.bench import Bench
from segeld.worker.cryptoki import Cryptoki
from segeld.worker.keys import KeyTable, Refused
from segeld.worker.reaffirm import Reaffirm
from segeld.worker.sign import Desk, not_begun, refused, sign
from segeld.worker.sign_each import sign_each
from segeld.worker.tokens import handle_of

Errand = Callable[[Session], None]
"""Something else that needs a session: it sends its own answer."""


@dataclass(slots=True)
class Workshop:
    """What the signing threads share."""

    send: Callable[[AnyAnswer], None]
    reaffirm: Reaffirm
    keys: KeyTable = field(default_factory=KeyTable)
    bench: Bench["Sign | Errand"] = field(default_factory=Bench)
    spent: ItemFailed | None = None
    """Set by the first failure that ends this worker: nothing more is begun, so that all the rest is certain."""


def start(workshop: Workshop, module: Cryptoki, sessions: Sequence[Session]) -> None:
    """Begins one thread for each session. They end with the process."""
    for number, session in enumerate(sessions):
        signer = _Signer(workshop, session, Desk(module, handle_of(session)))
        threading.Thread(target=signer.run, name=f"sign {number}", daemon=True).start()


class _Signer:
    def __init__(self, workshop: Workshop, session: Session, desk: Desk) -> None:
        self._workshop: Final = workshop
        self._session: Final = session
        self._desk: Final = desk

    def run(self) -> None:
        while True:
            self._do(self._workshop.bench.take(), self._serve_urgent)

    def _serve_urgent(self) -> None:
        """All that is urgent by now. It is not interrupted itself: urgent work is served in the order it came."""
        while (work := self._workshop.bench.take_urgent()) is not None:
            self._do(work, lambda: None)

    def _do(self, work: Sign | Errand, serve_urgent: Callable[[], None]) -> None:
        if isinstance(work, Sign):
            self._sign(work, serve_urgent)
        else:
            work(self._session)

    def _sign(self, request: Sign, serve_urgent: Callable[[], None]) -> None:
        workshop = self._workshop
        if workshop.spent is not None:
            workshop.send(refused(request, workshop.spent))
            return
        try:
            plan = workshop.keys.plan(request)
        except Refused as error:
            workshop.send(refused(request, ItemFailed(error.reason, 0, Remedy.ITEM, certain=True)))
            return
        urgent = () if request.urgent else workshop.bench.urgent
        if plan.always_authenticate:
            answer = sign_each(
                request, plan, self._desk, workshop.reaffirm, urgent=urgent, serve_urgent=serve_urgent
            )
        else:
            answer = sign(request, plan, self._desk, urgent=urgent, serve_urgent=serve_urgent)
        for outcome in answer.outcomes:
            if isinstance(outcome, ItemFailed) and outcome.remedy is not Remedy.ITEM:
                workshop.spent = not_begun(outcome)
                break
        workshop.send(answer)
