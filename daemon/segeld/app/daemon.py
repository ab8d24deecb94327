"""Everything is made here and nowhere else; started in order, stopped in reverse."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from segeld import __version__
from segeld.app.condition import Condition
from segeld.app.office import Office
from segeld.app.storage import Storage, open_storage
from segeld.config import Config
from segeld.dispatch.diskroom import DiskRoom
from segeld.dispatch.dispatcher import Dispatcher, Quotas
from segeld.dispatch.jobchange import JobChange
from segeld.dispatch.jobdesk import JobDesk
from segeld.dispatch.metrics import DispatchMetrics, JobMetrics
from segeld.dispatch.oversight import Oversight
from segeld.dispatch.upkeep import Upkeep
from segeld.dispatch.withdrawal import Withdrawal
from segeld.jobqueue.store_faults import StoreBroken, StoreFull
from segeld.office.act_key import DestroyingKey, EnablingKey
from segeld.office.act_policy import ApplyingPolicy, LettingIn
from segeld.office.act_token import InitializingToken, UnblockingPin
from segeld.office.actions import (
    AdoptLog,
    ApplyPolicy,
    DestroyKey,
    EnableKey,
    InitializeToken,
    UnblockPin,
    UnrevokeCaller,
)
from segeld.office.certificate_watch import CertificateWatch
from segeld.office.conditions import certificate_conditions
from segeld.office.key_desk import KeyDesk
from segeld.office.outdated import outdated
from segeld.office.policy_desk import PolicyDesk
from segeld.office.revocation_check import RevocationCheck
from segeld.office.token_records import TokenRecords
from segeld.rpc.audit import NAME as AUDIT
from segeld.rpc.audit import audit_service
from segeld.rpc.metrics import CallMetrics, serve_metrics
from segeld.rpc.open_calls import OpenCalls
from segeld.rpc.policy_admin import policy_service
from segeld.rpc.server import JOBS, SIGNING, Servers
from segeld.supervisor.metrics import TokenMetrics
from segeld.supervisor.supervisor import Supervisor

_log: Final = structlog.get_logger(__name__)
_LAST_RECORDS: Final = 5.0
"""Seconds for what is still to be recorded when the workers have been ended."""
_CALLERS_WAIT: Final = 5.0
"""Seconds that callers are kept waiting for a token that takes long to answer; those of other tokens wait with them."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a running daemon is reached."""

    callers: str
    """Host and port."""
    officer_socket: Path
    metrics: str | None
    """Host and port of the plain HTTP listener."""


async def serve(config: Config, *, stop: asyncio.Event, ready: Callable[[Endpoints], None]) -> None:
    """Runs the daemon until `stop` is set, then finishes what is in flight (at most `limits.grace` seconds).

    :param ready: called once, when every listener is open and every token has been looked for.
    :raises PolicyError: if the file of the first start has faults.
    :raises OSError: if an address is taken, a child cannot be started, or the database or the log is not usable.
    """
    registry = _registry()
    async with AsyncExitStack() as stack, _said_in_one_line():
        condition = Condition()
        policy = PolicyDesk(config.policy, follows_file=config.dev)
        storage = await stack.enter_async_context(
            open_storage(
                config,
                policy,
                registry,
                condition.tell,
                partial(condition.tell, of="audit log"),
                condition.tell_published,
                partial(condition.tell, of="seal of the database"),
            )
        )
        await _Daemon(config, policy, registry, storage, condition).run(stop, ready)
    _log.info("stopped")


class _Daemon:
    def __init__(
        self,
        config: Config,
        policy: PolicyDesk,
        registry: CollectorRegistry,
        storage: Storage,
        condition: Condition,
    ) -> None:
        limits = config.limits
        self._config = config
        self._registry = registry
        self._storage = storage
        self._condition = condition
        self._tokens = TokenMetrics(registry)
        self._dispatcher = Dispatcher(
            lambda: self._supervisor,
            policy.current,
            storage.store,
            DispatchMetrics(registry),
            Quotas(limits.queue, limits.queue_per_caller, limits.answers_retention),
            log_origin=storage.log.origin,
            recorded=storage.publisher.recorded,
            revoked=policy.shut_out.is_revoked,
        )
        jobs = self._dispatcher.jobs
        self._upkeep = Upkeep(storage.store, jobs, self._dispatcher.news, JobMetrics(registry))
        change = JobChange(jobs, self._dispatcher.news, lambda _: self._office.look())
        self._oversight = Oversight(storage.store, change, self._dispatcher.news)
        desk = JobDesk(
            storage.store,
            change,
            self._dispatcher.news,
            DiskRoom(config.state_dir, storage.store.items_unsigned),
            log_origin=storage.log.origin,
            jobs_per_caller=limits.jobs_per_caller,
            items_per_caller=limits.job_items_per_caller,
            items_per_job=limits.max_job_items,
        )
        self._keys = KeyDesk(
            config,
            lambda: self._supervisor,
            policy.current,
            lambda: self._dispatcher,
            ceremonies=lambda: self._supervisor,
            beside=lambda: (
                *self._watch.beside(),  # it is made below
                *(text for _, text in self._supervisor.warnings()),
            ),
        )
        self._token_records = TokenRecords()
        self._supervisor = Supervisor(
            config,
            self._dispatcher.serve,
            self._changed,
            storage.acts,
            waiting=self._dispatcher.waiting,
            custody=self._keys.standing,
            halted=storage.halted,
            notes=self._token_records,
        )
        self._policy_file = policy.compared
        self._withdrawal = Withdrawal(self._oversight, policy.condemned, policy.lost)
        self._dispatcher.jobs.on_withheld = self._withdrawal.look
        open_calls = OpenCalls(policy.current, policy.shut_out.refusal)
        # Open calls first: who is shut out should see why, and not how one item after another is refused.
        policy.changed.extend((open_calls.review, self._dispatcher.review_callers, self._withdrawal.look))
        self._watch = CertificateWatch(config, self._keys.standing, registry, time.time, open_calls.ends)
        self._revocation = RevocationCheck(
            self._keys.standing, self._supervisor.keys, config.certificates.revocation_interval, time.time
        )
        self._office = Office(
            config,
            registry,
            storage.store,
            {
                ApplyPolicy: ApplyingPolicy(policy),
                UnrevokeCaller: LettingIn(policy),
                EnableKey: EnablingKey(self._keys.withdrawal),
                DestroyKey: DestroyingKey(self._keys.withdrawal),
                InitializeToken: InitializingToken(self._supervisor, storage.acts),
                UnblockPin: UnblockingPin(self._supervisor, storage.acts),
                AdoptLog: storage.adoption,
            },
            policy=policy.current,
            standing=policy.standing,
            outdated=lambda action: outdated(policy, self._keys.withdrawal, action),
            bars=storage.adoption.bars,
            tokens=self._supervisor.tokens,
            jobs=storage.store,
            more=(certificate_conditions(self._watch.warnings),),
        )
        policy.changed.append(self._supervisor.review)  # what it says of keys without certificates
        policy.changed.append(self._office.look)  # an approval may have lapsed
        open_calls.came.extend((self._watch.look, self._office.look))
        self._servers = Servers(
            config,
            policy.current,
            self._dispatcher,
            desk,
            self._oversight,
            self._supervisor,
            storage.acts,
            self._keys,
            CallMetrics(registry),
            lambda: condition.trouble,
            services=(
                *self._office.services,
                audit_service(storage.log.folder, storage.log.commitments, storage.state),
                policy_service(
                    policy,
                    open_calls,
                    self._supervisor,
                    jobs_of=jobs.held_of,
                    barred=self._keys.standing.refusal,
                ),
            ),
            open_calls=open_calls,
        )

    def _changed(self) -> None:
        self._tokens.show(self._supervisor.tokens())
        self._dispatcher.review()
        self._office.look()
        self._keys.look()
        self._watch.look()

    async def run(self, stop: asyncio.Event, ready: Callable[[Endpoints], None]) -> None:
        await self._dispatcher.jobs.start()
        await self._keys.load(self._storage.store)
        await self._token_records.load(self._storage.store)
        await self._office.start()
        async with AsyncExitStack() as stack:
            metrics = None
            if self._config.metrics is not None:
                port, close = serve_metrics(self._config.metrics.address, self._registry)
                stack.callback(close)
                metrics = f"{_host(self._config.metrics.address)}:{port}"
            async with asyncio.TaskGroup() as group:
                _settle()
                # A port that is taken is known before any token is logged in.
                bound = await self._servers.start(callers_too=False)
                background = [
                    group.create_task(self._storage.publisher.run(), name="audit"),
                    group.create_task(self._storage.archives.run(), name="archives"),
                    group.create_task(self._dispatcher.jobs.run(), name="jobs"),
                    group.create_task(self._upkeep.run(), name="upkeep"),
                    group.create_task(self._office.run(), name="office"),
                    group.create_task(self._keys.run(), name="keys"),
                    group.create_task(self._policy_file.run(), name="policy file"),
                    group.create_task(self._watch.run(), name="certificates"),
                    group.create_task(self._withdrawal.run(), name="withdrawal"),
                    group.create_task(self._condition.show(self._show), name="health"),
                ]
                if self._config.certificates.revocation != "off":
                    background.append(group.create_task(self._revocation.run(), name="revocation"))
                if self._storage.witness is not None:
                    background.append(group.create_task(self._storage.witness.run(), name="witness"))
                supervising = group.create_task(self._supervisor.run(), name="supervisor")
                try:
                    await _unless(stop, self._looked_or_late())
                    await self._servers.serve_callers()
                    await _unless(stop, self._supervisor.looked())
                    if not stop.is_set():
                        callers = f"{_host(self._config.listen.address)}:{bound.callers}"
                        officers = self._config.officer_socket
                        _log.info("ready", version=__version__, callers=callers, officers=str(officers))
                        ready(Endpoints(callers, officers, metrics))
                    await stop.wait()
                    await self._stop()
                finally:
                    supervising.cancel()
                    for task in background:
                        task.cancel()
            # Workers that were ended with work in their hands: what became of it is recorded. If it cannot be, the next
            # start finds the claims.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_RECORDS):
                    await self._dispatcher.drained()

    async def _looked_or_late(self) -> None:
        """Before a token was looked at nobody knows of its keys: callers would be told that there are none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CALLERS_WAIT):
                await self._supervisor.looked()

    async def _show(self, *, serving: bool, publishing: bool = True) -> None:
        if serving:
            self._supervisor.review()  # what could not be signed may be signed now: keys are proved first
        for service in (SIGNING, JOBS):
            await self._servers.show_health(service, serving=serving)
        await self._servers.show_health(AUDIT, serving=publishing)

    async def _stop(self) -> None:
        """Two phases: nothing new is begun, then what was begun may end."""
        grace = self._config.limits.grace
        until = asyncio.get_running_loop().time() + grace
        _log.info("stopping", grace=grace)
        await self._show(serving=False)
        self._dispatcher.begin_stop()
        await self._servers.stop(grace)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._dispatcher.drained()
                await self._office.aclose()


@asynccontextmanager
async def _said_in_one_line() -> AsyncIterator[None]:
    """What the database refuses at the start or at the end, as what the system refuses.

    :raises OSError: for a Fault of the store.
    """
    try:
        yield
    except (StoreFull, StoreBroken) as fault:
        raise OSError(fault.text) from fault


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Returns when the work is done, or when it is time to stop."""
    waits = [asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _settle() -> None:
    """What is here when the daemon starts stays: the collector need not look at it again, 50 ms each time, while
    everything waits.
    """
    gc.collect()
    gc.freeze()


def _registry() -> CollectorRegistry:
    """The process's own figures are part of it: memory, CPU, descriptors."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _host(address: str) -> str:
    return address.rpartition(":")[0]
