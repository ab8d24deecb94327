"""What a real responder says of a certificate, and a real list, over HTTP. Their answers are certomancer's own."""

import datetime as dt
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AuthorityInformationAccessOID
from status_authority import Web, der

from segeld.office.revocation_check import ask

ARCHITECTURE = "segel-test"
START = 60
"""Seconds within which it must listen."""


@pytest.fixture(scope="module")
def places(testbed, tmp_path_factory):
    """The address of a certomancer of the testbed's PKI, in which the certificate of `registry` was revoked."""
    config = yaml.safe_load((testbed.directory / "certomancer.yml").read_text())
    yesterday = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).replace(microsecond=0)
    revoked = {"revoked-since": yesterday.isoformat(), "reason": "key_compromise"}
    config["pki-architectures"][ARCHITECTURE]["certs"]["client-registry"]["revocation"] = revoked
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config["external-url-prefix"] = f"http://127.0.0.1:{port}"  # its lists name the address they are at
    file = tmp_path_factory.mktemp("certomancer") / "certomancer.yml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [
        *("--config", str(file), "--key-root", str(testbed.directory)),
        *("--extra-config-root", str(testbed.directory), "animate", "--aiohttp", "--no-web-ui"),
        *("--port", str(port)),
    ]
    program = str(Path(sys.executable).parent / "certomancer")
    server = subprocess.Popen([program, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_it_listens(server, port)
        yield f"http://127.0.0.1:{port}/{ARCHITECTURE}"
    finally:
        server.terminate()
        server.wait()


def _until_it_listens(server: subprocess.Popen, port: int) -> None:
    until = time.monotonic() + START
    while True:
        assert server.poll() is None, "certomancer ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def chain(testbed, name: str, *, ocsp: str = "", crl: str = "") -> tuple[bytes, ...]:
    """A certificate of the PKI, once more, with the addresses that the PKI leaves out; and its issuer."""
    pki = testbed.directory / "pki"
    same = x509.load_pem_x509_certificate((pki / f"client-{name}.cert.pem").read_bytes())
    issuer = x509.load_pem_x509_certificate((pki / "issuing-ca.cert.pem").read_bytes())
    key = serialization.load_pem_private_key((pki / "private" / "issuing-ca.key.pem").read_bytes(), None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(same.subject)
        .issuer_name(same.issuer)
        .public_key(same.public_key())
        .serial_number(same.serial_number)
        .not_valid_before(same.not_valid_before_utc)
        .not_valid_after(same.not_valid_after_utc)
    )
    if ocsp:
        place = x509.UniformResourceIdentifier(ocsp)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if crl:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return der(builder.sign(key, hashes.SHA256()), issuer)


@pytest.fixture
def responder(places):
    """certomancer's times have fractions of seconds, which RFC 5280 forbids, unless it is told the time."""

    def forward(handler) -> None:
        told = {"X-Certomancer-Fake-Time": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S+00:00}"}
        question = urllib.request.Request(f"{places}/ocsp/issuing-ca", web.asked[-1][1], told)
        with urllib.request.urlopen(question) as answer:
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(answer.read())

    web = Web()
    web.pages["/ocsp"] = forward
    yield web.url("/ocsp")
    web.close()


@pytest.mark.parametrize(("name", "expected"), [("backoffice", "good"), ("registry", "revoked")])
def test_a_real_authority_is_understood(testbed, places, responder, name, expected):
    crl = f"{places}/crls/issuing-ca/latest.crl"
    for where in ({"ocsp": responder}, {"crl": crl}, {"ocsp": f"{places}/none", "crl": crl}):
        assert ask(chain(testbed, name, **where), dt.datetime.now(dt.UTC)) == (expected, "")


def test_its_answers_of_today_are_none_in_a_year(testbed, places):
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
    status, why = ask(chain(testbed, "registry", crl=f"{places}/crls/issuing-ca/latest.crl"), later)
    assert status == "unknown"
    assert "counted until" in why
