"""A worker and its answers: one method for each request, named as on the wire."""

from collections.abc import Callable
from functools import partial
from typing import Final

from pkcs11 import Session
from setproctitle import setproctitle

from segeld.ipc import ceremony_wire, pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.faults import Reason
from segeld.worker import ceremony, objects, pairing, public_keys, slots, threads
from segeld.worker.cryptoki import text
from segeld.worker.failure import Failure
from segeld.worker.keys import KeyTable
from segeld.worker.module import Module
from segeld.worker.public_keys import NotAKey, PublicKey
from segeld.worker.reaffirm import Reaffirmer
from segeld.worker.requests import State, Violation, check
from segeld.worker.tokens import Token
from segeld.worker.typed import Typed, required


class Worker:
    """All requests come in on one thread; answers leave from any, one at a time.

    `state` says which of the other attributes are there; `requests` sees to it that nobody asks too early.
    """

    _module: Module
    _token: Token
    _workshop: threads.Workshop

    def __init__(
        self, send: Callable[[wire.AnyAnswer], None], tell_keeper: Callable[[pin_wire.FromWorker], None]
    ) -> None:
        self.state = State.NEW
        self._typed: Typed | None = None
        self._send: Final = send
        self._tell_keeper: Final = tell_keeper
        self._reaffirmer: Final = Reaffirmer(tell_keeper)

    def answer(self, request: wire.AnyRequest) -> None:
        """Does one request, or leaves it on the bench; the answer is sent when it is there.

        :raises Violation: if this may not be asked now.
        """
        check(request, self.state)
        try:
            match request:
                case wire.Load():
                    self._send(self.load(request))
                case wire.Survey():
                    self._send(wire.Surveyed(request.id, slots.survey(self._module.functions)))
                case wire.OpenToken():
                    self._send(self.open_token(request))
                case wire.FindKeys() if self.state is State.USER:
                    self._workshop.bench.put(partial(self._find_keys_as_user, request), urgent=True)
                case wire.FindKeys():
                    self._send(self.find_keys(request, self._token.sessions[0]))
                case wire.Sign():
                    self._workshop.bench.put(request, urgent=request.urgent)
                case ceremony_wire.InitToken() | ceremony_wire.InitPin():
                    secrets = required(self._typed)
                    self._send(ceremony.set_up(self._module, request, secrets))
                case ceremony_wire.ListObjects() if self.state is not State.USER:
                    self._send(ceremony.list_objects(self._token.sessions[0], request))
                case _:
                    if isinstance(request, ceremony_wire.ChangePin):
                        required(self._typed)  # here, where a Violation ends the process
                    self._workshop.bench.put(partial(self._as_user, request), urgent=True)
        except Failure as failure:
            self._send(failure.answer(request.id))

    def load(self, request: wire.Load) -> wire.Loaded:
        """:raises Failure: if the module cannot be used."""
        self._module = Module(request.module, request.reserved)
        self.state = State.LOADED
        info = self._module.info
        return wire.Loaded(
            request.id,
            description=text(info.description),
            manufacturer=text(info.manufacturer),
            library_version=str(info.library_version),
            cryptoki_version=str(info.cryptoki_version),
            locking=self._module.locking,
        )

    def open_token(self, request: wire.OpenToken) -> wire.TokenOpened:
        """:raises Failure: if the token cannot be opened."""
        self._token = Token(self._module, request)
        self.state = State.PUBLIC
        setproctitle(f"segeld: worker [{self._token.info.label or self._token.info.serial}]")
        return wire.TokenOpened(request.id, self._token.info, len(self._token.sessions))

    def hear_secrets(self, frame: pin_wire.Secrets) -> None:
        """For the ceremony that is asked for next.

        :raises Violation: if this may not be said now.
        :raises ValueError: if one of them is none.
        """
        check(frame, self.state)
        if self._typed is not None:
            raise Violation(wire.Exit.OUT_OF_PLACE, "secrets for a second ceremony")
        self._typed = Typed(frame)

    def hear_keeper(self, frame: pin_wire.FromKeeper) -> None:
        """The login, or the PIN that a signing thread has asked for.

        :raises Violation: if this may not be said now.
        :raises ValueError: if the PIN is none.
        :raises Closed: if the keeper does not hear any more.
        """
        check(frame, self.state)
        if isinstance(frame, pin_wire.Denied) or self.state is State.USER:
            assert not isinstance(frame, pin_wire.PadLogin)
            self._reaffirmer.answered(frame)
        else:
            self._tell_keeper(self._login(frame))

    def lose_keeper(self) -> None:
        """No PIN comes any more."""
        self._reaffirmer.close()

    def _login(self, frame: pin_wire.Login | pin_wire.PadLogin) -> pin_wire.LoginEnded:
        """Uses the one login there is. With it the signing threads begin."""
        self.state = State.SPENT
        ended = self._token.login(frame)
        if ended.outcome is pin_wire.LoginOutcome.OK:
            reaffirm = partial(self._reaffirmer.ask, self._token)
            self._workshop = threads.Workshop(self._send, reaffirm)
            threads.start(self._workshop, self._module.functions, self._token.sessions)
            self.state = State.USER
        return ended

    def find_keys(self, request: wire.FindKeys, session: Session) -> wire.KeysFound:
        """:raises Failure: if the token cannot be searched, or a configured key is none."""
        found = objects.read(session, flags=self.state is State.USER)
        paired = pairing.pair(
            found, _configured(request), no_always=self._token.no_always(alone=request.alone)
        )
        if self.state is State.USER:
            self._workshop.keys = KeyTable(paired)
        else:
            paired += pairing.public_only(found, paired)
        return wire.KeysFound(request.id, tuple(one.found for one in paired))

    def _find_keys_as_user(self, request: wire.FindKeys, session: Session) -> None:
        try:
            self._send(self.find_keys(request, session))
        except Failure as failure:
            self._send(failure.answer(request.id))

    def _as_user(self, request: ceremony.UserRequest, session: Session) -> None:
        try:
            self._send(ceremony.as_user(self._module, self._token, session, request, self._typed))
        except Failure as failure:
            self._send(failure.answer(request.id))


def _configured(request: wire.FindKeys) -> list[PublicKey]:
    try:
        return [public_keys.from_spki(der) for der in request.public_keys]
    except NotAKey as error:
        raise Failure(Reason.FIELD_INVALID, wire.Remedy.LOCK, f"a configured public key: {error}") from None
