"""What one officer asks for, another approves, and the first then runs."""

from typing import Final

from segel import _convert_changes as convert
from segel._connection import CALL_TIMEOUT, Connection
from segel.models_changes import Action, Change, Changes
from segel.v1 import changes_pb2
from segel.v1.changes_pb2_grpc import ChangesStub

RUN_TIMEOUT: Final = 300.0
"""Seconds that running a change may take: some tokens take minutes to erase themselves."""


class OfficerChanges:
    """Changes of one daemon. Reached as `Officer.changes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def propose(self, action: Action, *, dry_run: bool = False) -> Change:
        """Asks for a change. It is approved at once if it needs no other officer. Never repeated by itself.

        :param dry_run: nothing is kept: the answer says what would be asked for, and by its state whether another
            officer is needed.
        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: ChangesStub(channel).ProposeChange,
            changes_pb2.ProposeChangeRequest(action=convert.action_message(action), dry_run=dry_run),
            timeout=CALL_TIMEOUT,
            repeat=dry_run,
        )
        return convert.change(response)

    async def list(self, *, ended: bool = False) -> Changes:
        """Changes, the newest first; with `ended`, those of the last 90 days that have ended too.

        :raises SegelError: what the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: ChangesStub(channel).ListChanges,
            changes_pb2.ListChangesRequest(ended=ended),
            timeout=CALL_TIMEOUT,
        )
        return Changes(tuple(map(convert.change, response.changes)), response.two_person)

    async def get(self, name: str) -> Change:
        """One change. `name` is ``changes/…``.

        :raises ChangeNotFound: if there is none.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: ChangesStub(channel).GetChange,
            changes_pb2.GetChangeRequest(name=name),
            timeout=CALL_TIMEOUT,
        )
        return convert.change(response)

    async def approve(self, name: str, action_hash: bytes) -> Change:
        """Says yes to exactly what `Change.action_hash` stood for.

        :raises ChangeStateError: if it does not wait for another officer, or is not what was shown.
        :raises NotAllowed: if it was you who asked for it.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: ChangesStub(channel).ApproveChange,
            changes_pb2.ApproveChangeRequest(name=name, action_hash=action_hash),
            timeout=CALL_TIMEOUT,
            repeat=False,
        )
        return convert.change(response)

    async def reject(self, name: str, reason: str = "") -> Change:
        """Says no; withdraws it, if it is your own.

        :raises ChangeStateError: if it has ended, or is being run.
        :raises SegelError: what else the daemon said, or why it cannot be reached.
        """
        response = await self._connection.call(
            lambda channel: ChangesStub(channel).RejectChange,
            changes_pb2.RejectChangeRequest(name=name, reason=reason),
            timeout=CALL_TIMEOUT,
            repeat=False,
        )
        return convert.change(response)

    async def run(
        self, name: str, *, so_pin: bytes | bytearray = b"", new_pin: bytes | bytearray = b""
    ) -> Change:
        """Does it. Never repeated by itself: a wrong SO PIN costs one of the token's tries.

        Each `bytearray` is overwritten with zeros once it was sent, whatever came of it.

        :raises ChangeStateError: if it is not approved, or was run.
        :raises SegelError: what else the daemon said, or why it cannot be reached. After ConnectionFailed with
            reason CONNECTION_BROKE it is not known whether it was run: look at the change.
        """
        request = changes_pb2.RunChangeRequest(name=name, so_pin=bytes(so_pin), new_pin=bytes(new_pin))
        try:
            response = await self._connection.call(
                lambda channel: ChangesStub(channel).RunChange, request, timeout=RUN_TIMEOUT, repeat=False
            )
        finally:
            request.ClearField("so_pin")
            request.ClearField("new_pin")
            for secret in (so_pin, new_pin):
                if isinstance(secret, bytearray):
                    secret[:] = bytes(len(secret))
        return convert.change(response)
