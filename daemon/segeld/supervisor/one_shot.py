"""A fresh worker for one ceremony: started, asked, ended. What it says or suffers is told as a Fault."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from segeld.config.schema import Module, Token
from segeld.ipc.worker_wire import Answer, Remedy, Request, SlotInfo, TokenInfo
from segeld.model.faults import Fault, Reason
from segeld.model.names import TokenName
from segeld.supervisor.half import Unanswered
from segeld.supervisor.worker_handle import WorkerFailed, WorkerHandle, WorkerLost

A = TypeVar("A", bound=Answer)


class Host(Protocol):
    """The token, as such a worker needs it."""

    name: TokenName
    config: Token
    module: Module

    def serial(self) -> str | None: ...

    def require_single(self, info: TokenInfo) -> None:
        """:raises Fault: TOKEN_STATE if another configured token is the same device."""


class OneShot:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._worker: WorkerHandle | None = None
        self._ends = 0
        """How often `end` was asked for: a worker that is just being started is not known yet."""

    def end(self, why: str) -> None:
        """Kills the worker that is at work, or is just being started."""
        self._ends += 1
        if self._worker is not None:
            self._worker.kill(why)

    @property
    def patience(self) -> float:
        """Seconds for what only reads."""
        return max(self._host.config.timeouts.operation, self._host.config.timeouts.start)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[WorkerHandle]:
        """With the module loaded.

        :raises Fault: nothing was changed.
        """
        module, ends = self._host.module, self._ends
        try:
            worker = await WorkerHandle.start(module.environment)
        except OSError as error:
            raise Fault(
                Reason.DEVICE_ERROR, f"No worker process could be started: {error.strerror}."
            ) from error
        self._worker = worker
        try:
            if self._ends != ends:
                worker.kill("it was ended when it was just started")
            await worker.load(str(module.path), module.reserved, self._host.config.timeouts.start)
            yield worker
        except (WorkerFailed, WorkerLost) as error:
            raise self.fault(error) from error
        finally:
            self._worker = None
            await worker.close()

    async def open(self, worker: WorkerHandle, *, writable: bool) -> TokenInfo:
        config = self._host.config
        opened = await worker.open_token(
            config.label, self._host.serial(), 1, config.timeouts.start, writable=writable
        )
        self._host.require_single(opened.token)
        return opened.token

    async def slots(self, worker: WorkerHandle) -> tuple[SlotInfo, ...]:
        return (await worker.survey(self._host.config.timeouts.start)).slots

    @staticmethod
    async def change(
        worker: WorkerHandle, request: Callable[[int], Request], expected: type[A], patience: float
    ) -> A:
        """Asks for something that changes the token.

        :raises Unanswered: if it may have been done, wholly or in part.
        :raises WorkerFailed: if it surely was not; WorkerLost likewise.
        """
        try:
            return await worker.perform(request, expected, patience)
        except (WorkerLost, WorkerFailed) as error:
            unanswered = Unanswered.of(error)
            if unanswered is None:
                raise
            raise unanswered from error

    def fault(self, error: WorkerFailed | WorkerLost) -> Fault:
        name = self._host.name
        if isinstance(error, WorkerLost):
            return Fault(
                Reason.DEVICE_ERROR,
                f"{name}: the device did not answer ({error}). Nothing was changed. Look at the device, then try again.",
                token=str(name),
            )
        reason = Reason.TOKEN_NOT_PRESENT if error.remedy is Remedy.ABSENT else error.reason
        return Fault(reason, f"{name}: {error.text}", token=str(name), ckr=f"{error.ckr:#x}")

    def unknown(self, text: str) -> Fault:
        """The Fault for what is not known."""
        return Fault(Reason.DEVICE_ERROR, f"{self._host.name}: {text}", token=str(self._host.name))
