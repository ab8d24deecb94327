"""One worker's place on a token: a worker is started, brought up, served, and replaced when it ends."""

from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import structlog

from segeld.config.schema import Module, Token
from segeld.ipc.worker_wire import FoundKey, Remedy, TokenInfo
from segeld.model.faults import Fault
from segeld.model.names import TokenName
from segeld.model.token_state import Stage, WorkerStatus
from segeld.supervisor.backoff import Backoff
from segeld.supervisor.news import News
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

_log: Final = structlog.get_logger(__name__)
_LOOKS: Final = 2
"""A token is absent when it was not found so often in a row: a soft token that another process writes to is not seen
for a moment."""


class Waiting(Exception):
    """This worker ends without blame: a fresh one waits for the next PIN."""


class Host(Protocol):
    """The token, as its workers' places need it."""

    name: TokenName
    config: Token
    module: Module
    news: News

    def is_halted(self) -> bool:
        """Whether no worker is to be started now."""
        ...

    def seen(self, info: TokenInfo) -> None:
        """A worker opened the token.

        :raises Fault: TOKEN_STATE if another configured token is the same device.
        """

    def serial(self) -> str | None:
        """The token's serial number: as configured, or as it was when it was activated."""
        ...

    def public_keys(self) -> tuple[bytes, ...]:
        """Those of the configuration, SubjectPublicKeyInfo, DER."""
        ...

    async def log_in(self, worker: WorkerHandle) -> None:
        """Waits for a PIN and for this worker's turn with it; returns when the worker is logged in.

        :raises Waiting: if it was not to be.
        :raises WorkerLost: if it ended meanwhile.
        """
        ...

    async def know(self, worker: WorkerHandle, found: tuple[FoundKey, ...], *, logged_in: bool) -> None:
        """A worker that is not to be replaced found these keys.

        :raises Waiting: if the token was deactivated meanwhile.
        """
        ...

    async def serve(self, worker: WorkerHandle) -> None:
        """Feeds a worker that is ready; returns when it ended, or retires and holds nothing any more."""
        ...

    def update(self) -> None:
        """The status of a place changed."""


class WorkerSlot:
    """`run` goes on until it is cancelled; `status` says how far the present worker has come."""

    def __init__(self, host: Host, number: int) -> None:
        self.status = WorkerStatus(Stage.DOWN)
        self.worker: WorkerHandle | None = None
        self._host = host
        self._number = number
        self._not_found = 0
        self._was_ready = False
        """Whether the present worker came to sign: what ends it then is news."""

    async def run(self) -> None:
        backoff = Backoff()
        said = ""
        while True:
            await self._host.news.until(lambda: not self._host.is_halted())
            backoff.started()
            ended = await self._live()
            if self._was_ready:
                self._was_ready, said = False, ""
            self._set(ended)
            pause = backoff.pause()
            if ended.trouble and ended.trouble != said:  # once, not at every try
                _log.warning(
                    "worker lost",
                    token=str(self._host.name),
                    slot=self._number,
                    why=ended.trouble,
                    again_in=round(pause, 2),
                )
            said = ended.trouble
            await self._host.news.wait(seconds=pause, when=partial(self._is_forgiven, ended))

    def forgive(self) -> None:
        """What went wrong before counts no more: an officer acts."""
        self.status = WorkerStatus(self.status.stage)

    def _is_forgiven(self, ended: WorkerStatus) -> bool:
        return self.status is not ended

    async def _live(self) -> WorkerStatus:
        """One worker from start to end; gives how it ended.

        Whatever happens stays here: a token that is sick must not end the daemon.
        """
        try:
            self.worker = worker = await WorkerHandle.start(self._host.module.environment)
        except OSError as error:
            return WorkerStatus(Stage.DOWN, trouble=f"No worker process could be started: {error.strerror}.")
        if self._host.is_halted():
            worker.kill("its token is kept free of workers")
        # What went wrong before stays said until it is right.
        self._set(replace(self.status, stage=Stage.LOADING))
        try:
            await self._bring_up(worker)
            await self._host.serve(worker)
        except WorkerFailed as failed:
            return self._failed(failed)
        except WorkerLost as lost:
            if worker.retiring:
                return WorkerStatus(Stage.DOWN)
            return WorkerStatus(Stage.DOWN, trouble=f"Its worker was lost: {lost}.")
        except Waiting:
            return WorkerStatus(Stage.DOWN)
        except Fault as fault:
            return WorkerStatus(Stage.DOWN, trouble=fault.text, reason=fault.reason)
        except Exception:  # noqa: BLE001  # see above
            _log.exception("worker slot failed", token=str(self._host.name), slot=self._number)
            return WorkerStatus(
                Stage.DOWN, trouble="The daemon failed while it looked after it; see the log."
            )
        finally:
            await worker.close()
            self.worker = None
        if worker.retiring:
            return WorkerStatus(Stage.DOWN)
        return WorkerStatus(Stage.DOWN, trouble=f"Its worker was lost: {worker.why}.")

    def _failed(self, failed: WorkerFailed) -> WorkerStatus:
        if failed.remedy is not Remedy.ABSENT:
            return WorkerStatus(Stage.DOWN, trouble=failed.text)
        self._not_found += 1
        if self._not_found < _LOOKS:
            return WorkerStatus(Stage.DOWN)
        return WorkerStatus(Stage.DOWN, absent=True, trouble=failed.text, blank=failed.blank)

    async def _bring_up(self, worker: WorkerHandle) -> None:
        host, config = self._host, self._host.config
        patience = config.timeouts.start
        await worker.load(str(host.module.path), host.module.reserved, patience)
        opened = await worker.open_token(config.label, host.serial(), config.sessions, patience)
        self._not_found = 0
        host.seen(opened.token)
        alone = config.workers == 1
        shown = await worker.find_keys(host.public_keys(), patience, alone=alone)
        _require_wanted(worker)
        await host.know(worker, shown.keys, logged_in=False)
        self._set(replace(self.status, stage=Stage.WAITING, absent=False))
        await host.log_in(worker)
        found = await worker.find_keys(host.public_keys(), patience, alone=alone)
        _require_wanted(worker)
        await host.know(worker, found.keys, logged_in=True)
        self._set(WorkerStatus(Stage.READY))
        self._was_ready = True

    def _set(self, status: WorkerStatus) -> None:
        self.status = status
        self._host.update()


def _require_wanted(worker: WorkerHandle) -> None:
    """:raises Waiting: if another one is to come in its place: what it has found may be from before a change."""
    if worker.retiring:
        raise Waiting
