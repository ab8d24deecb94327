"""What officers ask for together, through the library."""

import dataclasses

import grpc.aio
import pytest

from segel import models_changes as models
from segel._connection import Connection
from segel.officer_changes import OfficerChanges
from segel.v1 import changes_pb2, changes_pb2_grpc

KEY = "keys/sha256-" + "ab" * 32
ACTIONS = (
    models.InitializeToken("tokens/seal", "modules/vendor/slots/7", "Seal"),
    models.UnblockPin("tokens/seal"),
    models.DestroyKey(KEY),
    models.EnableKey(KEY),
    models.ApplyPolicy("two_person = true", bytes(32)),
    models.UnrevokeCaller("backoffice"),
    models.AdoptLog(),
)


class FakeChanges(changes_pb2_grpc.ChangesServicer):
    """Keeps what it was asked and answers with one change."""

    def __init__(self) -> None:
        self.requests = []
        self.change = changes_pb2.Change(
            name="changes/7",
            state=changes_pb2.Change.STATE_WAITING,
            state_reason="It waits.",
            summary=["What.", "And more."],
            action_hash=bytes(32),
            requested_by="wayan",
            secrets=["so_pin", "new_pin"],
        )
        self.change.create_time.FromSeconds(1_700_000_000)

    def _answer(self, request) -> changes_pb2.Change:
        kept = type(request)()
        kept.CopyFrom(request)
        self.requests.append(kept)
        return self.change

    async def ProposeChange(self, request, context):  # noqa: N802
        self.change.action.CopyFrom(request.action)
        return self._answer(request)

    async def ListChanges(self, request, context):  # noqa: N802
        return changes_pb2.ListChangesResponse(changes=[self._answer(request)], two_person=True)

    async def GetChange(self, request, context):  # noqa: N802
        return self._answer(request)

    async def ApproveChange(self, request, context):  # noqa: N802
        return self._answer(request)

    async def RejectChange(self, request, context):  # noqa: N802
        return self._answer(request)

    async def RunChange(self, request, context):  # noqa: N802
        return self._answer(request)


class Plain(Connection):
    """A connection without TLS, which is not what is tested here."""

    def __init__(self, port: int) -> None:
        self._plain = grpc.aio.insecure_channel(f"127.0.0.1:{port}")

    async def call(self, method, request, *, timeout, repeat=True, attempt=None):  # noqa: ASYNC109
        self.repeat = repeat
        return await method(self._plain)(request, timeout=timeout)

    async def aclose(self) -> None:
        await self._plain.close()


@pytest.fixture
async def office():
    fake, server = FakeChanges(), grpc.aio.server()
    changes_pb2_grpc.add_ChangesServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connection = Plain(port)
    yield OfficerChanges(connection), fake, connection
    await connection.aclose()
    await server.stop(None)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
async def test_every_action_goes_and_comes_as_it_is(office, action):
    changes, fake, connection = office
    change = await changes.propose(action)
    assert change.action == action
    assert not fake.requests[0].dry_run
    assert connection.repeat is False


async def test_what_is_said_of_a_change(office):
    changes, _, _ = office
    change = await changes.get("changes/7")
    assert (change.number, change.state) == ("7", models.ChangeState.WAITING)
    assert change.summary == ("What.", "And more.")
    assert change.create_time is not None
    assert change.create_time.timestamp() == 1_700_000_000
    assert (change.decide_time, change.end_time, change.action) == (None, None, None)
    assert {field.name for field in dataclasses.fields(change)} >= {
        field.name for field in changes_pb2.Change.DESCRIPTOR.fields
    }


async def test_a_newer_daemon_breaks_nothing(office):
    changes, fake, _ = office
    fake.change.state = 99
    assert (await changes.get("changes/7")).state is models.ChangeState.UNKNOWN


async def test_lists_and_decisions(office):
    changes, fake, connection = office
    found = await changes.list(ended=True)
    assert (len(found.changes), found.two_person) == (1, True)
    await changes.approve("changes/7", b"\1" * 32)
    assert connection.repeat is False
    await changes.reject("changes/7", "no")
    assert connection.repeat is False
    assert [type(request).__name__ for request in fake.requests] == [
        "ListChangesRequest",
        "ApproveChangeRequest",
        "RejectChangeRequest",
    ]
    assert fake.requests[1].action_hash == b"\1" * 32
    assert fake.requests[2].reason == "no"


async def test_secrets_are_sent_once_and_wiped(office):
    changes, fake, connection = office
    so_pin, new_pin = bytearray(b"so-canary"), bytearray(b"new-canary")
    await changes.run("changes/7", so_pin=so_pin, new_pin=new_pin)
    assert (fake.requests[0].so_pin, fake.requests[0].new_pin) == (b"so-canary", b"new-canary")
    assert (so_pin, new_pin) == (bytearray(9), bytearray(10))
    assert connection.repeat is False
