"""Jobs without ``await``: as in `segel.blocking`, each method is one line that hands the async one to the thread."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from segel._algorithms import Algorithm
from segel._chunks import Item
from segel._job import Ecdsa, Job, JobState, Priority
from segel._portal import Portal
from segel.job import JobHandle
from segel.jobs import Jobs
from segel.models import Failure, Signature


class BlockingJobs:
    """`Jobs` without ``await``. `BlockingClient.jobs`."""

    def __init__(self, portal: Portal, inner: Jobs) -> None:
        self._portal = portal
        self._inner = inner

    def create(
        self,
        key: str,
        digests: Iterable[Item],
        *,
        request_id: str | None = None,
        algorithm: Algorithm | str | None = None,
        ecdsa: Ecdsa = "der",
        priority: Priority = "normal",
        labels: Mapping[str, str] | None = None,
        deadline: dt.datetime | dt.timedelta | None = None,
        retention: dt.timedelta | None = None,
        ids: Iterable[str] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> "BlockingJobHandle":
        """See `Jobs.create`. The iterables are read, and `progress` is called, in the client's thread."""
        inner = self._portal.run(
            self._inner.create(
                key,
                digests,
                request_id=request_id,
                algorithm=algorithm,
                ecdsa=ecdsa,
                priority=priority,
                labels=labels,
                deadline=deadline,
                retention=retention,
                ids=ids,
                progress=progress,
            )
        )
        return BlockingJobHandle(self._portal, inner)

    def get(self, name: str) -> Job:
        """See `Jobs.get`."""
        return self._portal.run(self._inner.get(name))

    def open(self, name: str) -> "BlockingJobHandle":
        """See `Jobs.open`."""
        return BlockingJobHandle(self._portal, self._portal.run(self._inner.open(name)))

    def list(
        self,
        *,
        states: Collection[JobState | str] = (),
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        request_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """See `Jobs.list`."""
        return self._portal.each(
            self._inner._pages(states=states, key=key, labels=labels, request_id=request_id, limit=limit)  # noqa: SLF001
        )

    def held(self, *, limit: int | None = None) -> Iterator[Job]:
        """See `Jobs.held`."""
        return self._portal.each(self._inner._pages(states=[JobState.HELD], limit=limit))  # noqa: SLF001

    def approve(self, name: str, items_hash: bytes) -> Job:
        """See `Jobs.approve`."""
        return self._portal.run(self._inner.approve(name, items_hash))

    def reject(self, name: str, reason: str = "") -> Job:
        """See `Jobs.reject`."""
        return self._portal.run(self._inner.reject(name, reason))


class BlockingJobHandle:
    """`JobHandle` without ``await``. Made by `BlockingJobs.create` and `BlockingJobs.open`."""

    def __init__(self, portal: Portal, inner: JobHandle) -> None:
        self._portal = portal
        self._inner = inner

    def __repr__(self) -> str:
        return f"Blocking{self._inner!r}"

    @property
    def name(self) -> str:
        """See `JobHandle.name`."""
        return self._inner.name

    @property
    def info(self) -> Job:
        """See `JobHandle.info`."""
        return self._inner.info

    def refresh(self) -> Job:
        """See `JobHandle.refresh`."""
        return self._portal.run(self._inner.refresh())

    def watch(self) -> Iterator[Job]:
        """See `JobHandle.watch`."""
        return self._portal.each(self._inner._snapshots())  # noqa: SLF001

    def wait(self, timeout: float | None = None) -> Job:
        """See `JobHandle.wait`."""
        return self._portal.run(self._inner.wait(timeout))

    def results(self, offset: int = 0, *, wait: bool = True) -> Iterator[Signature | Failure]:
        """See `JobHandle.results`."""
        return self._portal.each(self._inner._blocks(offset, wait=wait))  # noqa: SLF001

    def cancel(self) -> Job:
        """See `JobHandle.cancel`."""
        return self._portal.run(self._inner.cancel())

    def delete(self) -> None:
        """See `JobHandle.delete`."""
        return self._portal.run(self._inner.delete())

    def approve(self, items_hash: bytes) -> Job:
        """See `JobHandle.approve`."""
        return self._portal.run(self._inner.approve(items_hash))

    def reject(self, reason: str = "") -> Job:
        """See `JobHandle.reject`."""
        return self._portal.run(self._inner.reject(reason))
