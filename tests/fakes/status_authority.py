"""An authority that says of its certificates whether they were revoked, and a web server for what it says."""

import contextlib
import datetime as dt
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NOW = dt.datetime(2026, 6, 1, 3, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class StatusAuthority:
    def __init__(self, called: str = "Issuing", at: dt.datetime = NOW, age: dt.timedelta = 30 * DAY) -> None:
        """:param age: of all its certificates."""
        self.at = at
        self.age = age
        self.called = called
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.issue(called, self.key.public_key(), x509.BasicConstraints(True, None))

    def issue(self, subject, public_key, *extensions, issuer: str | None = None) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject) if isinstance(subject, str) else subject)
            .issuer_name(name(issuer or self.called))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.at - self.age)
            .not_valid_after(self.at + 300 * DAY)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def seal(self, *, ocsp_url: str = "", crl_url: str = "", public_key=None, subject="seal"):
        extensions = []
        if ocsp_url:
            place = x509.UniformResourceIdentifier(ocsp_url)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
            extensions.append(x509.AuthorityInformationAccess([access]))
        if crl_url:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
            extensions.append(x509.CRLDistributionPoints([point]))
        key = public_key or ec.generate_private_key(ec.SECP256R1()).public_key()
        return self.issue(subject, key, *extensions)

    def responder(self, *usages) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Somebody who answers in the authority's place."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage(list(usages) or [ExtendedKeyUsageOID.OCSP_SIGNING])
        return key, self.issue("responder", key.public_key(), usage)

    def ocsp(self, leaf, status="GOOD", *, since=None, until=DAY, signer=None, about=None) -> bytes:
        """:param until: after now; None: it does not say.
        :param signer: a key and a certificate; its own if None.
        :param about: another certificate's issuer.
        """
        revoked = status == "REVOKED"
        key, certificate = signer or (self.key, self.certificate)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=about or self.certificate,
                algorithm=hashes.SHA1(),
                cert_status=getattr(ocsp.OCSPCertStatus, status),
                this_update=since or self.at,
                next_update=None if until is None else self.at + until,
                revocation_time=self.at - DAY if revoked else None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        )
        if certificate is not self.certificate:
            builder = builder.certificates([certificate])
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    def crl(self, *revoked, since=None, until=DAY, key=None, extension=None) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name(self.called))
            .last_update(since or self.at - DAY)
            .next_update(self.at + until)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(self.at - DAY).build())
        if extension is not None:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def der(*certificates: x509.Certificate) -> tuple[bytes, ...]:
    return tuple(each.public_bytes(Encoding.DER) for each in certificates)


class Web:
    """Answers on loopback: `pages` maps a path to octets, or to a function that is given the handler."""

    def __init__(self) -> None:
        self.pages: dict = {}
        self.asked: list[tuple[str, bytes]] = []
        self.over = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                web.asked.append((self.path, body))
                page = web.pages.get(self.path)
                with contextlib.suppress(OSError):
                    if callable(page):
                        page(self)
                    elif page is None:
                        self.send_error(404)
                    else:
                        self.send_response(200)
                        self.end_headers()
                        self.wfile.write(page)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
