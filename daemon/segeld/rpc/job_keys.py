"""With which key a new job is signed: as for Sign, but a repetition must find what it found the first time."""

from segeld.model.faults import Fault, Reason
from segeld.model.inventory import KeyRecord
from segeld.model.job import JobFilter
from segeld.model.names import Alias, KeyName
from segeld.policy import Policy
from segeld.rpc import keys
from segeld.rpc.job_convert import Draft
from segeld.rpc.ports import Inventory, JobDesk


class JobKeys:
    def __init__(self, inventory: Inventory, desk: JobDesk) -> None:
        self._inventory = inventory
        self._desk = desk

    async def choose(self, policy: Policy, caller: str, asked: Draft) -> KeyName:
        """The immutable name of the key that the caller means, and may have sign that way.

        :raises Fault: as `keys.choose` and `keys.allow`; KEY_UNUSABLE for a key that is not for bulk.
        """
        record = keys.choose(policy, self._inventory, caller, asked.key)
        if isinstance(asked.key, Alias):
            record = await self._repeated(policy, caller, asked.key, asked.request_id) or record
        keys.allow(policy, caller, record, asked.algorithm)
        if record.always_authenticate and not policy.bulk(record.name):
            raise Fault(
                Reason.KEY_UNUSABLE,
                f"{record.name} wants its PIN before every signature, so jobs may not use it. Use Sign, or another key; "
                "an officer may allow it (`bulk = true` for the key in the policy).",
                field="key",
            )
        return record.name

    async def _repeated(self, policy: Policy, caller: str, alias: Alias, request_id: str) -> KeyRecord | None:
        """The key of the job that this request made before, if the alias still names it: since then another of its
        keys may have become the first that can sign, and the repetition would look like other content.
        """
        before = await self._desk.jobs(caller, JobFilter(request_id=request_id), before=None, limit=1)
        if not before or before[0].spec.kind.key not in policy.resolve(alias, caller):
            return None
        return self._inventory.key(before[0].spec.kind.key)
