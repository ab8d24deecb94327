"""Every way in which a connection fails, with a real TLS server: the text must name what stands in the way."""

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import tempfile
from pathlib import Path

import grpc.aio
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import segel
from segel import _diagnosis, errors


@contextlib.asynccontextmanager
async def failing(target, tls, **options):
    """The error of a first call, which must come at once and not after a time-out."""
    async with asyncio.timeout(10), segel.Client.connect(target, tls=tls, **options) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.whoami()
        yield caught.value


async def test_nothing_listens(tls):
    with socket.socket() as unused:
        unused.bind(("localhost", 0))
        port = unused.getsockname()[1]
        async with failing(f"localhost:{port}", tls) as error:
            assert error.reason == "NOTHING_LISTENS"
            assert f"localhost:{port}" in str(error)
            assert "the daemon does not run" in str(error)
            assert error.retry_after is not None


async def test_the_host_is_not_known(tls):
    async with failing("no-such-host.invalid:7443", tls) as error:
        assert error.reason == "HOST_UNKNOWN"
        assert "no-such-host.invalid" in str(error)


async def test_the_socket_is_missing(tls, tmp_path):
    async with failing("unix:/nowhere/segel.sock", tls) as error:
        assert error.reason == "SOCKET_MISSING"


async def test_the_socket_has_no_listener(tls, short_folder):
    path = short_folder / "s"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
        async with failing(f"unix:{path}", tls) as error:
            assert error.reason == "NOTHING_LISTENS"


@pytest.fixture
def short_folder():
    """Socket paths end at 107 octets, which the test runner's own folders may exceed."""
    folder = Path(tempfile.mkdtemp(prefix="sg"))
    yield folder
    shutil.rmtree(folder)


async def test_a_unix_socket_speaks_tls_under_the_name_localhost(
    issuer, server_files, tls, kit, short_folder
):
    daemon = kit.FakeDaemon(server_files, issuer.file, path=str(short_folder / "s"))
    async with kit.running(daemon), segel.Client.connect(daemon.target, tls=tls) as client:
        assert (await client.whoami()).caller == "backoffice"


async def test_the_server_name_can_be_set(issuer, tls, kit):
    daemon = kit.FakeDaemon(issuer.issue("other", hosts=("signer.example",)), issuer.file)
    async with kit.running(daemon):
        async with failing(daemon.target, tls) as error:
            assert error.reason == "SERVER_NAME_MISMATCH"
            assert "not for 'localhost'" in str(error)
        async with segel.Client.connect(daemon.target, tls=tls, server_name="signer.example") as client:
            assert (await client.whoami()).caller == "backoffice"


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [(-5, -1, "SERVER_CERTIFICATE_EXPIRED"), (1, 5, "SERVER_CERTIFICATE_NOT_YET_VALID")],
)
async def test_the_daemons_certificate_is_out_of_its_dates(issuer, tls, kit, start, end, reason):
    daemon = kit.FakeDaemon(issuer.issue("old", start=start, end=end), issuer.file)
    async with kit.running(daemon), failing(daemon.target, tls) as error:
        assert error.reason == reason
        assert error.retry_after is None


async def test_the_daemons_certificate_has_another_issuer(daemon, tls, stranger):
    other = segel.Tls(ca=stranger.file, cert=tls.cert, key=tls.key, said_by={"ca": "SEGEL_TLS_CA"})
    async with failing(daemon.target, other) as error:
        assert error.reason == "SERVER_ISSUER_UNKNOWN"
        assert str(stranger.file) in str(error)
        assert "SEGEL_TLS_CA" in str(error)


async def test_our_certificate_has_an_issuer_the_daemon_does_not_know(daemon, issuer, stranger):
    mine = stranger.issue("me")
    async with failing(daemon.target, segel.Tls(issuer.file, mine.cert, mine.key)) as error:
        assert error.reason == "CLIENT_CERTIFICATE_REFUSED"
        assert "Other Root" in str(error)
        assert error.retry_after is None


@pytest.mark.parametrize(
    ("start", "end", "reason", "text"),
    [
        (-5, -1, "CLIENT_CERTIFICATE_EXPIRED", "expired on 20"),
        (1, 5, "CLIENT_CERTIFICATE_NOT_YET_VALID", "valid from 20"),
    ],
)
async def test_our_certificate_is_out_of_its_dates(daemon, issuer, start, end, reason, text):
    mine = issuer.issue("me", start=start, end=end)
    async with failing(daemon.target, segel.Tls(issuer.file, mine.cert, mine.key)) as error:
        assert error.reason == reason
        assert text in str(error)
        assert str(mine.cert) in str(error)


@contextlib.asynccontextmanager
async def listening(handle, context=None):
    server = await asyncio.start_server(handle, "localhost", 0, ssl=context, family=socket.AF_INET)
    async with server:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"


async def test_what_listens_does_not_speak_tls(tls):
    async def plain(reader, writer):
        writer.write(b"220 mail.example ESMTP\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with listening(plain) as target, failing(target, tls) as error:
        assert error.reason == "NOT_TLS"


async def test_what_listens_speaks_no_http2(tls, server_files):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server_files.cert, server_files.key)

    async def web(reader, writer):
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with listening(web, context) as target, failing(target, tls) as error:
        assert error.reason == "NOT_GRPC"


async def test_what_listens_hangs_up(tls):
    async def rude(reader, writer):
        writer.close()

    async with listening(rude) as target, failing(target, tls) as error:
        assert error.reason == "HANDSHAKE_BROKE", str(error)
        assert error.retry_after is not None


async def test_what_listens_is_silent(tls, monkeypatch):
    monkeypatch.setattr(_diagnosis, "TIMEOUT", 0.1)
    with socket.create_server(("localhost", 0)) as silent:
        target = f"localhost:{silent.getsockname()[1]}"
        found = await asyncio.to_thread(
            _diagnosis.diagnose, segel._target.Target.parse(target), tls, "localhost", ""
        )
    assert found.reason == "TLS_SILENT"


async def test_a_good_connection_has_no_finding(daemon, tls):
    target = segel._target.Target.parse(daemon.target)
    assert await asyncio.to_thread(_diagnosis.diagnose, target, tls, "localhost", "") is None


@pytest.mark.parametrize("setting", ["ca", "cert", "key"])
@pytest.mark.parametrize(
    ("spoil", "reason", "text"),
    [
        (lambda path: path.unlink(), "TLS_FILE_MISSING", "does not exist"),
        (lambda path: (path.unlink(), path.mkdir()), "TLS_FILE_UNREADABLE", "cannot be read"),
        (lambda path: path.write_bytes(b"0\x82\x01"), "TLS_FILE_NOT_PEM", "is not PEM"),
    ],
)
async def test_a_file_is_not_as_it_should_be(tls, setting, spoil, reason, text):
    """Found before anything is sent: the target is not even looked up."""
    path = getattr(tls, setting)
    spoil(path)
    async with failing("no-such-host.invalid:1", tls) as error:
        assert isinstance(error, errors.SettingsInvalid)
        assert error.reason == reason
        assert error.facts["setting"] == setting
        assert str(path) in str(error)
        assert text in str(error)


@pytest.mark.parametrize("setting", ["ca", "cert", "key"])
async def test_a_file_has_a_broken_block(tls, setting):
    kind = "PRIVATE KEY" if setting == "key" else "CERTIFICATE"
    getattr(tls, setting).write_text(f"-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n")
    async with failing("no-such-host.invalid:1", tls) as error:
        assert error.reason == "TLS_FILE_NOT_PEM"


async def test_the_key_belongs_to_another_certificate(tls, issuer):
    mixed = segel.Tls(tls.ca, tls.cert, issuer.issue("another").key)
    async with failing("no-such-host.invalid:1", mixed) as error:
        assert error.reason == "TLS_KEY_MISMATCH"
        assert "is not the key of the certificate" in str(error)


async def test_the_key_is_encrypted(tls):
    key = ec.generate_private_key(ec.SECP256R1())
    tls.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    async with failing("no-such-host.invalid:1", tls) as error:
        assert error.reason == "TLS_KEY_ENCRYPTED"


async def test_a_file_that_only_others_may_read(tls, monkeypatch):
    def refuse(self):
        raise PermissionError(13, os.strerror(13), str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    async with failing("no-such-host.invalid:1", tls) as error:
        assert error.reason == "TLS_FILE_UNREADABLE"
        assert "Permission denied" in str(error)


@pytest.fixture
async def bare_target(issuer, server_files):
    """A listener without any of segel's services."""
    server = grpc.aio.server()
    credentials = grpc.ssl_server_credentials(
        [(server_files.key.read_bytes(), server_files.cert.read_bytes())],
        root_certificates=issuer.file.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    yield f"localhost:{port}"
    await server.stop(None)


async def test_the_listener_for_others_is_named(bare_target, tls):
    async with segel.Officer.connect(bare_target, tls=tls) as officer:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await officer.tokens()
    assert caught.value.reason == "WRONG_LISTENER"
    assert str(caught.value) == (
        "That is the listener for callers; segelctl wants the one for officers, "
        "for example unix:/run/segel/officer.sock."
    )
    async with segel.Client.connect(bare_target, tls=tls) as client:
        with pytest.raises(errors.ConnectionFailed, match="That is the listener for officers; segel wants"):
            await client.whoami()
