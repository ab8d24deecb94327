"""What the services ask of the layers below: narrow protocols, so that each side is tested without the other."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from segeld.model.activation import NO_LIMITS, Limits
from segeld.model.inventory import KeyMade, KeyRecord, ObjectRecord, Order, Signed, Survey, TokenRecord
from segeld.model.job import Items, Job, JobFilter, JobSpec, Results
from segeld.model.names import JobName, KeyName, TokenName
from segeld.model.person import Person
from segeld.model.secret import Pin


class Dispatch(Protocol):
    """Signs what was checked and allowed."""

    async def sign(self, order: Order) -> Signed:
        """One signature or Fault for each input, in order. Cancelling the call gives up what is not begun.

        :raises Fault: if the order as a whole is refused: queue full, no healthy token, stopping.
        """
        ...

    @property
    def log_origin(self) -> str:
        """The audit log of the receipts."""
        ...


class JobDesk(Protocol):
    """Jobs, as a caller deals with them. What cannot be found, or is another's, is JOB_NOT_FOUND."""

    async def create(self, spec: JobSpec, items: Items, *, seal: bool) -> Job:
        """The job; the one that is there if caller and request_id are those of an earlier one.

        :raises Fault: IDEMPOTENCY_MISMATCH, CALLER_QUOTA, QUEUE_FULL, JOB_TOO_LARGE, STORAGE_FULL, STORAGE_UNAVAILABLE.
        """
        ...

    async def append(self, caller: str, name: JobName, offset: int, items: Items) -> Job:
        """:raises Fault: JOB_STATE, OFFSET_OUT_OF_RANGE, IDEMPOTENCY_MISMATCH, JOB_TOO_LARGE, CALLER_QUOTA, STORAGE_…"""
        ...

    async def seal(self, caller: str, name: JobName, count: int, *, approval: bool) -> Job:
        """:param approval: it needs an approver's yes, whatever it needed when it was created.

        :raises Fault: JOB_STATE, BATCH_EMPTY, OFFSET_OUT_OF_RANGE, STORAGE_…
        """
        ...

    async def job(self, caller: str, name: JobName) -> Job: ...

    async def jobs(
        self, caller: str, wanted: JobFilter, *, before: int | None, limit: int
    ) -> tuple[Job, ...]: ...

    def watch(self, caller: str, name: JobName) -> AsyncIterator[Job]:
        """The job now, then whenever it changed (not more than five times a second), last when it has ended."""
        ...

    def results(self, caller: str, name: JobName, offset: int, *, wait: bool) -> AsyncIterator[Results]:
        """Block by block; at most one block is held. With `wait` it goes on until the job has ended.

        :raises Fault: JOB_STATE, OFFSET_OUT_OF_RANGE.
        """
        ...

    async def cancel(self, caller: str, name: JobName) -> Job: ...

    async def delete(self, caller: str, name: JobName) -> None: ...

    @property
    def log_origin(self) -> str:
        """The audit log of the receipts."""
        ...


May = Callable[[str, KeyName], bool]
"""Whether an approver may decide on jobs of a caller with a key, by the policy in force. Asked in any thread."""


class Oversight(Protocol):
    """Jobs of every caller, as approvers and officers deal with them.

    An approver sees held jobs that wait for his word, and for 90 days those that he decided: everything else is
    JOB_NOT_FOUND.
    """

    async def job_for(self, who: str, may: May, name: JobName) -> Job: ...

    async def jobs_for(
        self, who: str, may: May, wanted: JobFilter, *, before: int | None, limit: int
    ) -> tuple[Job, ...]: ...

    def watch_for(self, who: str, may: May, name: JobName) -> AsyncIterator[Job]: ...

    async def decide(self, name: JobName, who: Person, may: May, items_hash: bytes | None, text: str) -> Job:
        """Approves a held job; rejects it if `items_hash` is None.

        :raises Fault: JOB_NOT_FOUND, JOB_STATE, ITEMS_CHANGED; SECOND_PERSON_REQUIRED for whoever created it.
        """
        ...

    async def all_jobs(
        self, wanted: JobFilter, *, caller: str, before: int | None, limit: int
    ) -> tuple[tuple[Job, ...], int | None]:
        """The newest first, of one caller if it is named; and with which `before` it goes on."""
        ...

    async def pause(self, name: JobName, who: str) -> Job:
        """:raises Fault: JOB_NOT_FOUND, JOB_STATE."""
        ...

    async def resume(self, name: JobName, who: str) -> Job:
        """:raises Fault: JOB_NOT_FOUND, JOB_STATE."""
        ...

    async def cancel(self, name: JobName, who: str, why: str) -> Job:
        """:raises Fault: JOB_NOT_FOUND, JOB_STATE."""
        ...


class Inventory(Protocol):
    """Keys and tokens, as they are now."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    def keys(self) -> tuple[KeyRecord, ...]: ...

    def token(self, name: TokenName) -> TokenRecord | None: ...

    def tokens(self) -> tuple[TokenRecord, ...]: ...

    async def survey(self) -> Survey:
        """Asks every configured module for its slots, each in a process of its own."""
        ...

    async def activate(
        self, name: TokenName, pin: Pin | None, limits: Limits = NO_LIMITS, who: str = ""
    ) -> TokenRecord:
        """Logs the token in; returns when its first worker is ready. Takes and wipes the PIN.

        :param pin: None: it is typed at the reader's pad, or configured.

        :param limits: at their end it is deactivated; after a restart it does not log in by itself.
        :param who: the officer.

        :raises Fault: TOKEN_NOT_FOUND, TOKEN_STATE, TOKEN_NOT_PRESENT, PIN_INCORRECT, PIN_LOCKED, PIN_LENGTH, …
        """
        ...

    async def deactivate(self, name: TokenName, *, only_if_idle: bool = False) -> TokenRecord:
        """Forgets the PIN and ends the workers when what they hold is done.

        :raises Fault: TOKEN_NOT_FOUND; TOKEN_BUSY if it is not idle and should be.
        """
        ...

    async def change_pin(self, token: TokenName, pin: Pin, new_pin: Pin) -> str:
        """Gives what the officer has to do then; empty if nothing. Whoever calls wipes both.

        :raises Fault: TOKEN_NOT_FOUND, PIN_INCORRECT, PIN_REFUSED_BEFORE, PIN_LOCKED, PIN_LENGTH, PIN_INVALID, …
        :raises Half: it is the new one, or may be.
        """
        ...

    async def quarantine(self, token: TokenName, reason: str, who: str) -> TokenRecord:
        """It holds at once, and is recorded with whoever did it.

        :raises Fault: TOKEN_NOT_FOUND; TOKEN_STATE if an officer has done so before; STORAGE_… if it holds, but only until
            a restart.
        """
        ...

    async def release(self, token: TokenName, who: str) -> TokenRecord:
        """Recorded with whoever did it.

        :raises Fault: TOKEN_NOT_FOUND; TOKEN_STATE if it is in no quarantine; STORAGE_… if it stays there.
        """
        ...

    async def objects(self, token: TokenName) -> tuple[ObjectRecord, ...]:
        """:raises Fault: TOKEN_NOT_FOUND, TOKEN_NOT_ACTIVE, …"""
        ...

    async def generate_key(self, token: TokenName, label: str, kind: str, cka_id: bytes) -> KeyMade:
        """Returns when every worker knows the key, or says what is missing.

        :raises Fault: TOKEN_NOT_FOUND, TOKEN_NOT_ACTIVE, FIELD_INVALID, KEY_EXISTS, TOKEN_NO_ROOM, …; no key was made.
        :raises Half: it may have been made.
        """
        ...
