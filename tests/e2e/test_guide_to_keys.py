"""docs/keys.md: its commands run as they stand there, with the names of this place put in."""

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from documents import blocks, environment
from status_authority import StatusAuthority

import segel
from segel.testing import dev_daemon

PAGE = "docs/keys.md"
TIMEOUT = 60


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys") / "bed"
    with dev_daemon("--keys", "p256,rsa2048", "--workers", "1", directory=folder) as running:
        yield running


def run(script: str, folder, daemon) -> str:
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=folder,
        env={**os.environ, **environment(), **daemon.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def block(beginning: str, language: str = "sh") -> str:
    (found,) = [each for each in blocks(PAGE, language) if each.startswith(beginning)]
    return found


def of_seal(script: str) -> str:
    return script.replace("seal-2026", "seal-p256")


def test_from_a_request_to_a_certificate(tmp_path, bed) -> None:
    assert "callers" in run(of_seal(block("segelctl key list")), tmp_path, bed)
    run(of_seal(block("segelctl key csr")), tmp_path, bed)
    request = x509.load_pem_x509_csr((tmp_path / "seal-p256.csr").read_bytes())
    ca = StatusAuthority(at=dt.datetime.now(dt.UTC), age=dt.timedelta(minutes=1))
    seal = ca.seal(public_key=request.public_key(), subject=request.subject)
    (tmp_path / "answer.pem").write_bytes(
        seal.public_bytes(Encoding.PEM) + ca.certificate.public_bytes(Encoding.PEM)
    )
    told = run(block("segelctl key import-cert"), tmp_path, bed)
    assert "nothing was stored" in told
    assert "a chain of 2; kept on" in told


def test_rotation_and_withdrawal(tmp_path, bed) -> None:
    with bed.client() as client:
        names = {key.aliases[0]: key.name.removeprefix("keys/") for key in client.keys()}  # noqa: SIM118 # a method
    old, new = names["keys/seal-p256"], names["keys/seal-rsa2048"]

    def here(script: str) -> str:
        script = re.sub("sha256-1{64}", old, script.replace("alias seal ", "alias seal-p256 "))
        return re.sub("sha256-2{64}", new, script)

    add, remove = block("segelctl key alias").splitlines()
    assert "waits for an officer other than" in run(here(add) + " --yes", tmp_path, bed)
    disable, enable, destroy = block("segelctl key disable").splitlines()
    run(here(disable), tmp_path, bed)
    with bed.client() as client, pytest.raises(segel.SegelError) as refused:
        client.signer(f"keys/{old}").sign_digest(bytes(32))
    assert refused.value.reason == "KEY_DISABLED"
    assert "waits for an officer other than" in run(here(enable), tmp_path, bed)
    assert "30 days" in run(here(destroy) + " || true", tmp_path, bed)
    assert "is done" in run(here(remove) + " --yes", tmp_path, bed)


def test_clients_certificates_are_accepted_by_a_running_daemon(tmp_path, bed) -> None:
    """A second authority of clients, whose certificate the daemon reads from its file without a restart."""
    name = "spiffe://segel.test/caller/backoffice"
    authority = block("openssl req -x509")
    client = block("openssl req -new").replace("spiffe://office.example/tax", name)
    told = run(authority + client, tmp_path, bed)
    assert "tax.pem: OK" in told
    trusted = bed.directory / "pki" / "ca-bundle.pem"
    server = tmp_path / "server-ca.pem"
    shutil.copy(trusted, server)
    fresh = tmp_path / "fresh.pem"
    fresh.write_bytes(trusted.read_bytes() + (tmp_path / "clients-ca.pem").read_bytes())
    fresh.replace(trusted)
    tls = segel.Tls(ca=server, cert=tmp_path / "tax.pem", key=tmp_path / "tax.key")
    with segel.BlockingClient.connect(bed.target, tls=tls) as connected:
        assert connected.whoami().caller == "backoffice"


def test_the_unit_is_one(tmp_path) -> None:
    analyze = shutil.which("systemd-analyze")
    text = block("[Unit]", "ini")
    assert "ExecReload=/bin/kill -HUP $MAINPID" in text
    assert "LoadCredential=seal-pin:" in text
    command = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1].split()
    segeld = str(Path(sys.executable).parent / "segeld")
    known = subprocess.run(
        [segeld, command[1], "--help"], capture_output=True, text=True, check=True, timeout=TIMEOUT
    )
    assert command[2] in known.stdout
    if analyze is None:
        return  # a machine without systemd: what of it can be looked at here was
    unit, program = tmp_path / "segeld.service", tmp_path / "segeld"
    program.symlink_to(segeld)  # its own path may have blanks, which a unit would have to quote
    unit.write_text(text.replace(command[0], str(program)).replace("User=segel", "User=root"))
    checked = subprocess.run(
        [analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert "segeld.service" not in checked.stderr, checked.stderr
