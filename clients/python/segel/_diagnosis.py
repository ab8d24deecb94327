"""Why there is no connection. gRPC says "failed to connect to all addresses"; people need the reason.

Walks the way of a connection once more with the standard library alone: name, address, TLS, first octets.
With TLS 1.3 the client's handshake is done before the server has looked at the client's certificate, so its
refusal arrives with the first read.
"""

import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from segel._der import CertificateFacts
from segel._target import Target
from segel._tls import Tls
from segel.errors import ConnectionFailed, SegelError

TIMEOUT: Final = 3.0
"""Seconds for each step: connect, handshake, first octets."""

_SOON: Final = 0.5
"""Seconds after which a daemon that is being restarted may be there."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])

# X509_V_ERR_* of OpenSSL, x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _HOST_MISMATCH, _IP_MISMATCH = 9, 10, 62, 64
_STRANGE_ISSUERS: Final = frozenset({2, 18, 19, 20, 21})


class _Found(Exception):
    """Ends the walk."""

    def __init__(self, error: SegelError) -> None:
        self.error: Final = error


def diagnose(target: Target, tls: Tls, server_name: str, details: str) -> SegelError | None:
    """Why a connection to `target` fails, or None if it does not fail now. Blocks for up to three `TIMEOUT`.

    The error's `retry_after` is set if time alone may help, as with a daemon that is being restarted.

    :param details: what gRPC said, for the facts.
    """
    found = _walk(target, tls, server_name, details)
    if found is not None and found.reason == "CLIENT_CERTIFICATE_REFUSED":
        # gRPC servers close without an alert, and so does a daemon that ends at this very moment.
        found = _walk(target, tls, server_name, details)
    return found


def _walk(target: Target, tls: Tls, server_name: str, details: str) -> SegelError | None:
    walk = _Walk(target, tls, server_name, details)
    try:
        with walk.connected() as plain, walk.secured(plain) as secured:
            walk.look_for_refusal(secured)
    except _Found as found:
        return found.error
    return None


class _Walk:
    def __init__(self, target: Target, tls: Tls, server_name: str, details: str) -> None:
        self._target = target
        self._tls = tls
        self._server_name = server_name
        self._details = details

    @contextlib.contextmanager
    def connected(self) -> Iterator[socket.socket]:
        try:
            connection = self._connect()
        except FileNotFoundError:
            self._stop(
                "SOCKET_MISSING",
                "There is no such socket: the daemon does not run, or listens elsewhere",
                _SOON,
            )
        except PermissionError:
            self._stop("SOCKET_FORBIDDEN", "The socket's permissions keep this user out")
        except ConnectionRefusedError:
            self._stop(
                "NOTHING_LISTENS",
                "Nothing listens there: the daemon does not run, or listens elsewhere",
                _SOON,
            )
        except socket.gaierror as error:
            self._stop(
                "HOST_UNKNOWN",
                f"The host name {self._target.host!r} cannot be resolved ({error.strerror})",
                _SOON,
            )
        except TimeoutError:
            self._stop(
                "HOST_SILENT",
                f"The host does not answer within {TIMEOUT:.0f} s: a firewall, or a wrong address",
                _SOON,
            )
        except OSError as error:
            self._stop("HOST_UNREACHABLE", f"The address cannot be reached ({error.strerror})", _SOON)
        with connection:
            yield connection

    def _connect(self) -> socket.socket:
        if not self._target.path:
            return socket.create_connection((self._target.host, self._target.port), timeout=TIMEOUT)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(self._target.path)
        except OSError:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def secured(self, plain: socket.socket) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self._tls.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._tls.cert, self._tls.key)
        context.set_alpn_protocols(["h2"])
        try:
            secured = context.wrap_socket(plain, server_hostname=self._server_name)
        except ssl.SSLCertVerificationError as error:
            self._distrusted(error)
        except TimeoutError:
            self._stop(
                "TLS_SILENT", f"It takes connections but does not answer TLS within {TIMEOUT:.0f} s", _SOON
            )
        except ssl.SSLError as error:
            if error.reason in {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"}:
                self._stop("NOT_TLS", "What listens there does not speak TLS: it is not the daemon")
            self._refused(error)
        except OSError as error:
            self._broke(error)
        with secured:
            if secured.selected_alpn_protocol() != "h2":
                self._stop("NOT_GRPC", "What listens there speaks TLS but not HTTP/2: it is not the daemon")
            yield secured

    def look_for_refusal(self, secured: ssl.SSLSocket) -> None:
        try:
            secured.sendall(_PREFACE)
            answer = secured.recv(1)
        except TimeoutError:
            self._stop(
                "DAEMON_SILENT",
                f"The daemon does not answer within {TIMEOUT:.0f} s: it is overloaded or hangs",
                _SOON,
            )
        except ssl.SSLError as error:
            self._refused(error)
        except OSError as error:
            self._broke(error)
        if not answer:
            self._refused(None)

    def _distrusted(self, error: ssl.SSLCertVerificationError) -> NoReturn:
        code = error.verify_code
        if code == _EXPIRED:
            self._stop(
                "SERVER_CERTIFICATE_EXPIRED",
                "The daemon's certificate, or one above it, has expired: tell those who run it",
            )
        if code == _NOT_YET_VALID:
            self._stop(
                "SERVER_CERTIFICATE_NOT_YET_VALID",
                "The daemon's certificate is not valid yet: compare the clocks",
            )
        if code in {_HOST_MISMATCH, _IP_MISMATCH}:
            self._stop(
                "SERVER_NAME_MISMATCH",
                f"The daemon's certificate is not for {self._server_name!r}: correct the target, or set server_name",
            )
        if code in _STRANGE_ISSUERS:
            source = self._tls.said_by.get("ca", "the argument ca")
            self._stop(
                "SERVER_ISSUER_UNKNOWN",
                f"The daemon's certificate does not come from a CA in {self._tls.ca} (from {source}): "
                "another CA file is needed, or this is not the daemon",
            )
        self._stop(
            "SERVER_CERTIFICATE_REFUSED",
            f"The daemon's certificate cannot be trusted ({error.verify_message})",
        )

    def _refused(self, error: ssl.SSLError | None) -> NoReturn:
        """The other side ended TLS. Our own certificate is the usual reason, so look at that first."""
        own = CertificateFacts.first_of(Path(self._tls.cert).read_bytes())
        now = dt.datetime.now(dt.UTC)
        where = f"The client certificate {self._tls.cert}"
        if own is not None and own.not_after < now:
            self._stop(
                "CLIENT_CERTIFICATE_EXPIRED",
                f"{where} expired on {own.not_after:%Y-%m-%d %H:%M} UTC: renew it",
            )
        if own is not None and own.not_before > now:
            self._stop(
                "CLIENT_CERTIFICATE_NOT_YET_VALID",
                f"{where} is valid from {own.not_before:%Y-%m-%d %H:%M} UTC: wait, or correct this machine's clock",
            )
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            self._broke(error)
        if error is None or "ALERT" in (error.reason or ""):
            issuer = f", which {own.issuer!r} issued" if own is not None and own.issuer else ""
            self._stop(
                "CLIENT_CERTIFICATE_REFUSED",
                f"The daemon refused the client certificate {self._tls.cert}{issuer}: "
                "use one from an issuer that the daemon trusts",
            )
        self._stop("TLS_FAILED", f"TLS failed ({error})")

    def _broke(self, error: OSError) -> NoReturn:
        self._stop(
            "HANDSHAKE_BROKE", f"The daemon, or something before it, ended the handshake ({error})", _SOON
        )

    def _stop(self, reason: str, text: str, retry_after: float | None = None) -> NoReturn:
        raise _Found(
            ConnectionFailed(
                f"No connection to {self._target}. {text}.",
                reason=reason,
                code="UNAVAILABLE",
                facts={
                    "target": str(self._target),
                    "server_name": self._server_name,
                    "details": self._details,
                },
                retry_after=retry_after,
            )
        )
