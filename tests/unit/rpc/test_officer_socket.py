"""The officer socket: its mode, its folder, and what lies there already."""

import os
import socket
import stat

import grpc
import pytest
from prometheus_client import CollectorRegistry

from segel.v1 import tokens_pb2, tokens_pb2_grpc
from segeld.rpc import unix_socket

LIST = tokens_pb2.ListTokensRequest()


@pytest.fixture
def path(short_path):
    return short_path / "run" / "officer.sock"


async def test_officers_come_in_over_the_socket_with_their_certificate(daemon, refusal):
    await daemon.start()
    answer = await tokens_pb2_grpc.TokensStub(daemon.channel("siti", socket=True)).ListTokens(LIST)
    assert [token.name for token in answer.tokens] == ["tokens/payroll"]
    refused = await refusal(
        tokens_pb2_grpc.TokensStub(daemon.channel("backoffice", socket=True)).ListTokens(LIST)
    )
    assert refused.reason == "ROLE_REQUIRED"


async def test_the_socket_alone_lets_nobody_in(daemon):
    """Whoever may open the socket still has to show a certificate."""
    await daemon.start()
    async with grpc.aio.insecure_channel(f"unix:{daemon.config.officer_socket}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await tokens_pb2_grpc.TokensStub(channel).ListTokens(LIST)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_the_socket_has_the_mode_that_was_asked_for_and_goes_at_the_end(daemon):
    await daemon.start()
    path = daemon.config.officer_socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await daemon.servers.stop(0)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_new_socket_is_never_wider_than_asked_for(path, mode):
    path.parent.mkdir()
    before = os.umask(0o022)
    try:
        with unix_socket.mode_of_new_sockets(mode), socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_stale_socket_is_taken_away(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    unix_socket.prepare(path)
    assert not path.exists()


def test_a_live_socket_is_left_alone(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with pytest.raises(unix_socket.SocketInUseError):
            unix_socket.prepare(path)
    assert path.exists()


async def test_a_second_daemon_does_not_take_the_first_ones_socket(daemon):
    await daemon.start()
    first = daemon.servers
    daemon.registry = CollectorRegistry()
    daemon.build()
    with pytest.raises(OSError, match="another process answers"):
        await daemon.servers.start()
    await daemon.servers.stop(0)
    daemon.servers = first
    await tokens_pb2_grpc.TokensStub(daemon.channel("siti", socket=True)).ListTokens(LIST)


def test_what_is_no_socket_is_left_alone(path):
    path.parent.mkdir()
    path.write_text("a file of somebody")
    with pytest.raises(FileExistsError):
        unix_socket.prepare(path)
    assert path.exists()


def test_a_folder_that_others_can_write_in_is_refused(path):
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(PermissionError):
        unix_socket.prepare(path)


def test_the_folder_is_made(path):
    unix_socket.prepare(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o022 == 0


async def test_a_port_that_is_taken_is_said(daemon):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        daemon.change(listen=daemon.listen(f"127.0.0.1:{port}"))
        with pytest.raises(OSError, match=str(port)):
            await daemon.start()
