"""A daemon's RPC layer in this process, who talks to it, and how they are refused."""

import contextlib
from types import SimpleNamespace

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from rpc_authority import Authority
from rpc_daemon import PEOPLE, Daemon
from rpc_inventory import make_key, make_token
from rpc_refusal import Refusal, detail_of


@pytest.fixture(autouse=True)
def events():
    """Everything that is logged, as it was meant: the events, not their rendering."""
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
        yield events


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("pki"))
    authority.issue("server", ["dns:localhost", "ip:127.0.0.1"])
    for name, (_, san) in PEOPLE.items():
        authority.issue(name, [san])
    return authority


@pytest.fixture
def short_path(tmp_path_factory):
    """A folder whose name is short enough for a socket."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
async def daemon(authority, short_path):
    daemon = Daemon(authority, short_path)
    async with contextlib.aclosing(daemon):
        yield daemon


@pytest.fixture
def error_info():
    return lambda status: detail_of(status, error_details_pb2.ErrorInfo)


@pytest.fixture
def refusal():
    """Waits for a call that must be refused (of a stream: for its first message), and takes the refusal apart."""

    async def wait(waiting, call=None) -> Refusal:
        call = call or waiting
        with pytest.raises(grpc.aio.AioRpcError):
            await waiting
        status = await rpc_status.aio.from_call(call)
        assert status is not None
        trailers = dict(await call.trailing_metadata())
        return Refusal(await call.code(), await call.details(), status, trailers)

    return wait


@pytest.fixture
def make():
    """Makers of records, for tests that need their own."""
    return SimpleNamespace(key=make_key, token=make_token, Authority=Authority, people=PEOPLE)
