"""`[notify]` of a real daemon: somebody is told what needs them."""

import datetime as dt
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from served import Served, wait_until

import segel

DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory, ready_beds):
    """A daemon that tells whatever it has to tell to a file, and whose token waits for a typed PIN."""
    folder = tmp_path_factory.mktemp("notify")
    (folder / "place").mkdir()
    heard = folder / "heard"
    program = folder / "tell"
    program.write_text(f'#!/bin/sh\ncat >> {heard}\necho "told $1" >&2\n')
    program.chmod(0o755)
    bed = ready_beds.at(folder / "bed", "p256")
    made = Served(folder / "place", bed, limits=f'\n[notify]\ncommand = ["{program}", "officers"]\n')
    made.heard = heard
    by_hand = re.sub("^pin = .*$", 'pin = { source = "prompt" }', made.config.read_text(), flags=re.MULTILINE)
    made.config.write_text(by_hand)
    with (made.folder / "policy.toml").open("a") as policy:
        policy.write(f'\n[[officers]]\nname = "wayan"\nsans = ["uri:{bed.pki.identities["wayan"].uri}"]\n')
    try:
        made.start()
        yield made
        assert made.stop() == 0
    finally:
        made.end()


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until(served, holds) -> None:
    def alive() -> bool:
        assert not served.ended_by_itself(), served.tail()
        return bool(holds())

    wait_until(alive, served.tail)


def told_of(served, subject: str) -> list[dict]:
    until(served, lambda: subject in (each["subject"] for each in lines(served.heard)))
    return [each for each in lines(served.heard) if each["subject"] == subject]


def test_after_a_reboot_at_night_somebody_is_told_once(served) -> None:
    (told,) = told_of(served, "tokens/main")
    assert told["kind"] == "token-needs-officer"
    assert "segelctl token activate main" in told["text"]
    figure = 'segel_notices_total{kind="token-needs-officer",result="told"} 1.0'
    until(served, lambda: figure in served.metrics())
    assert "told officers" in served.tail()


def ends_in_ten_days(served) -> segel.Tls:
    """A certificate of the caller `backoffice`, by the authority that the daemon trusts."""
    pki, person = served.bed.directory / "pki", served.bed.pki.identities["backoffice"]
    issuer = x509.load_pem_x509_certificate((pki / "issuing-ca.cert.pem").read_bytes())
    issuer_key = serialization.load_pem_private_key((pki / "private/issuing-ca.key.pem").read_bytes(), None)
    same = x509.load_pem_x509_certificate(person.cert_chain.read_bytes())
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(same.subject)
        .issuer_name(issuer.subject)
        .public_key(same.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 10.5 * DAY)
    )
    for extension in same.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    fresh = builder.sign(issuer_key, hashes.SHA256())
    file = served.folder / "short.pem"
    file.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (fresh, issuer)))
    return segel.Tls(ca=served.bed.pki.ca_bundle, cert=file, key=person.key)


def test_a_callers_certificate_near_its_end_is_seen_everywhere(served) -> None:
    """It came once: in the log, in the figures, in the notices, and whenever an officer looks."""
    until(served, lambda: b'"ready"' in served.log.read_bytes())
    tls = ends_in_ten_days(served)
    with segel.BlockingClient.connect(served.target, tls=tls) as client:
        assert client.whoami().caller == "backoffice"
    (told,) = told_of(served, "backoffice")
    assert told["kind"] == "certificate-near-end"
    assert "The certificate of backoffice ends in 10 days" in told["text"]
    figure = 'segel_certificate_end_timestamp_seconds{kind="client",name="backoffice"}'
    until(served, lambda: figure in served.metrics())
    until(served, lambda: said(served, "backoffice"))
    (line,) = said(served, "backoffice")
    assert line["level"] == "warning"
    assert "The certificate of backoffice ends in 10 days" in status(served)


def said(served, whose: str) -> list[dict]:
    """What the log says of a certificate."""
    whole, _, _ = served.log.read_text().rpartition("\n")
    found = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [each for each in found if each["event"] == "certificate" and each["of"] == whose]


def status(served) -> str:
    """What an officer sees."""
    officer = served.tls("wayan")
    names = {"TLS_CA": officer.ca, "TLS_CERT": officer.cert, "TLS_KEY": officer.key}
    return subprocess.run(
        [sys.executable, "-m", "segeld.ctl", "status"],
        env={
            **os.environ,
            "SEGELCTL_TARGET": f"unix:{served.folder / 'officer.sock'}",
            **{f"SEGELCTL_{name}": str(file) for name, file in names.items()},
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stderr
