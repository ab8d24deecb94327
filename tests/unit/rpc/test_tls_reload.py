"""TLS files that change are used for new connections; bad ones are not; open connections stay."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from segel.v1 import signing_pb2, signing_pb2_grpc
from segeld.config.schema import Listen, Tls


@pytest.fixture
async def served(daemon, authority, tmp_path):
    """A daemon whose files are this test's own."""
    for name in ("server.pem", "server.key", "ca.pem"):
        replace(tmp_path / name, (authority.folder / name).read_bytes())
    tls = Tls(certificate=tmp_path / "server.pem", key=tmp_path / "server.key", client_ca=tmp_path / "ca.pem")
    daemon.change(listen=Listen(address="127.0.0.1:0", tls=tls))
    await daemon.start()
    return daemon


def replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)


def renewed(authority, folder: Path) -> int:
    """Puts a new pair there; gives its serial number."""
    key, pem = authority.issue("renewed", ["dns:localhost", "ip:127.0.0.1"])
    replace(folder / "server.key", key)
    replace(folder / "server.pem", pem)
    return x509.load_pem_x509_certificate(pem).serial_number


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


async def shown(daemon, authority) -> int:
    """The serial number of the certificate that a new connection is shown."""
    return await asyncio.to_thread(_shown, daemon.bound.callers, authority)


def _shown(port: int, authority) -> int:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.load_cert_chain(authority.folder / "backoffice.pem", authority.folder / "backoffice.key")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as shaken,
    ):
        der = shaken.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


async def test_new_connections_get_the_new_certificate_and_old_ones_stay(served, authority, tmp_path):
    stub = signing_pb2_grpc.SigningStub(served.channel("backoffice"))
    await stub.WhoAmI(signing_pb2.WhoAmIRequest())
    assert await shown(served, authority) == serial((authority.folder / "server.pem").read_bytes())
    new = renewed(authority, tmp_path)
    assert await shown(served, authority) == new
    assert await shown(served, authority) == new
    await stub.WhoAmI(signing_pb2.WhoAmIRequest())


@pytest.mark.parametrize("what", ["half of a pair", "no PEM", "expired", "no file"])
async def test_a_bad_pair_is_not_taken_and_the_next_good_one_is(served, authority, tmp_path, what):
    before = await shown(served, authority)
    match what:
        case "half of a pair":
            replace(tmp_path / "server.pem", authority.issue("renewed", ["dns:localhost"])[1])
        case "no PEM":
            replace(tmp_path / "server.pem", b"nothing")
        case "expired":
            key, pem = authority.issue("renewed", ["dns:localhost"], days=-1)
            replace(tmp_path / "server.key", key)
            replace(tmp_path / "server.pem", pem)
        case "no file":
            (tmp_path / "server.key").unlink()
    assert await shown(served, authority) == before
    new = renewed(authority, tmp_path)
    assert await shown(served, authority) == new


async def test_clients_of_another_authority_come_in_after_a_change(served, authority, tmp_path):

    other = type(authority)(tmp_path / "other", "another authority")
    other.issue("backoffice", [])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(_refused_or_shown, served.bound.callers, authority, other)
    replace(tmp_path / "ca.pem", authority.pem + other.pem)
    await asyncio.to_thread(_refused_or_shown, served.bound.callers, authority, other)


def _refused_or_shown(port: int, authority, other) -> None:
    """:raises SSLError: if the server does not take the client's certificate (TLS 1.3 says so after the handshake)."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.load_cert_chain(other.folder / "backoffice.pem", other.folder / "backoffice.key")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as shaken,
    ):
        if not shaken.recv(9):  # the server's SETTINGS
            raise ConnectionError("closed")
