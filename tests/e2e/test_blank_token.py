"""Two officers and a blank slot: to a certified key that signs, a new PIN, a token that is set up anew."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from token_office import TIMEOUT, Office

import segel
from segel_softhsm import Testbed

SO_PIN, PIN, NEW_PIN, LAST_PIN = "so-canary-87654321", "canary-123456", "canary-654321", "canary-246810"


def issue(request: x509.CertificateSigningRequest) -> x509.Certificate:
    """The answer of some authority."""
    assert request.is_signature_valid
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Some Authority")]))
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )


class Commands:
    """One process that does as many `segelctl` do, one after another: most of what one takes is its start."""

    _LOOP = (
        "import json, sys; from typer.testing import CliRunner; from segeld.ctl.main import app\n"
        "for line in sys.stdin:\n"
        "    environment, arguments = json.loads(line)\n"
        "    done = CliRunner().invoke(app, arguments, env=environment)\n"
        "    why = '' if isinstance(done.exception, SystemExit | None) else repr(done.exception)\n"
        "    print(json.dumps([done.exit_code, done.stdout, done.stderr + why]), flush=True)\n"
    )

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, environment: dict[str, str], arguments: tuple[str, ...]):
        self._process.stdin.write(json.dumps([environment, arguments]) + "\n")
        self._process.stdin.flush()
        return subprocess.CompletedProcess(arguments, *json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=TIMEOUT)


class TwoOfficers(Office):
    """A folder of SoftHSM2 with nothing in it, one token configured, and wayan and made."""

    commands: "Commands | None" = None
    pin = PIN
    """The token's present one."""

    def __init__(self, folder: Path, bed: Testbed) -> None:
        (folder / "tokens").mkdir()
        conf = folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        super().__init__(folder, bed, bed.module, {"SOFTHSM2_CONF": str(conf)}, 'label = "Seal"')
        policy = folder / "policy.toml"
        made = f'\n[[officers]]\nname = "made"\nsans = ["uri:{bed.pki.identities["made"].uri}"]\n'
        policy.write_text(policy.read_text().replace("two_person = false", "") + made)

    def secret(self, name: str, value: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(f"{value}\n")
        return str(path)

    def well(self, who: str, *arguments: str) -> str:
        done = self.as_officer(who, *arguments)
        assert done.returncode == 0, done.stderr + done.stdout + self.tail()
        return done.stdout

    def as_officer(self, who: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One test has every command in a process of its own, as officers do; for the others that takes too long."""
        tls = self.tls(who)
        person = {"SEGELCTL_TLS_CERT": str(tls.cert), "SEGELCTL_TLS_KEY": str(tls.key)}
        if self.commands is not None:
            return self.commands.run({**self.officer_environment, **person}, arguments)
        return subprocess.run(
            [sys.executable, "-m", "segeld.ctl", *arguments],
            env={**os.environ, **self.officer_environment, **person},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def together(self, *arguments: str, so_pin: str = SO_PIN, new_pin: str = PIN):
        """wayan asks, made approves, wayan runs. Gives what was shown to made, and how it was run."""
        asked = self.well("wayan", *arguments, "--yes")
        number = asked.split("changes/")[1].split(" ")[0]
        assert f"They run:      segelctl change approve {number}" in asked
        assert f"Then you run:  segelctl change run {number}" in asked
        shown = self.well("made", "change", "show", number)
        self.well("made", "change", "approve", number, "--yes")
        secrets = ("--so-pin-file", self.secret("so", so_pin), "--new-pin-file", self.secret("new", new_pin))
        return shown, self.as_officer("wayan", "change", "run", number, *secrets)

    def blank_slot(self) -> str:
        slots = map(json.loads, self.well("wayan", "--json", "slot", "list").splitlines())
        return next(s["name"] for s in slots if "CKF_TOKEN_INITIALIZED" not in s["token"]["flags"])

    def set_up(self) -> None:
        _, done = self.together("token", "init", "card", "--slot", self.blank_slot())
        assert done.returncode == 0, done.stderr + self.tail()

    def activate(self, pin: str) -> "subprocess.CompletedProcess[str]":
        return self.as_officer("wayan", "token", "activate", "card", "--pin-file", self.secret("pin", pin))

    def generate(self, label: str, kind: str = "p256") -> dict:
        made = self.well(
            "wayan", "--json", "key", "generate", "--token", "card", "--label", label, "--kind", kind
        )
        return json.loads(made)

    def certify(self, key: str) -> x509.Certificate:
        csr = self.well("wayan", "key", "csr", key, "--subject", "/C=ID/O=Dinas Kominfo/CN=Segel 2026")
        issued = issue(x509.load_pem_x509_csr(csr.encode()))
        path = self.folder / "answer.pem"
        path.write_bytes(issued.public_bytes(Encoding.PEM))
        stored = self.well("wayan", "key", "import-cert", str(path))
        assert "tokens/card" in stored
        return issued


@pytest.fixture
def office(tmp_path: Path, testbed: Testbed) -> TwoOfficers:
    return TwoOfficers(tmp_path, testbed)


def test_from_a_blank_slot_to_a_certified_key_that_signs_and_to_an_empty_token(office: TwoOfficers) -> None:
    with office.serving() as client:
        office.wait_state("absent")
        slot = office.blank_slot()
        assert f"segelctl token init card --slot {slot}" in office.well("wayan", "token", "show", "card")
        dry = office.well("wayan", "token", "init", "card", "--slot", slot, "--dry-run")
        assert "Another officer must approve this." in dry
        assert office.well("wayan", "change", "list") == ""
        shown, done = office.together("token", "init", "card", "--slot", slot)
        assert f"The blank token in {slot} becomes tokens/card" in shown
        assert done.returncode == 0, done.stderr + office.tail()
        office.wait_state("inactive")
        assert office.activate(PIN).returncode == 0
        key = office.generate("seal-2026")["name"]
        twice = office.as_officer(
            "wayan", "key", "generate", "--token", "card", "--label", "seal-2026", "--kind", "p256"
        )
        assert twice.returncode != 0
        assert "seal-2026" in twice.stderr
        issued = office.certify(key)
        objects = [
            json.loads(one) for one in office.well("wayan", "--json", "token", "objects", "card").splitlines()
        ]
        assert {"private key", "public key", "certificate"} == {one["class"] for one in objects}
        assert not any(one["warnings"] for one in objects)
        signer = client.signer(key)
        assert signer.certificate_chain[0] == issued.public_bytes(Encoding.DER)
        assert signer.sign_digest(bytes(32))
        # Anew: what is lost is named.
        shown, done = office.together("token", "init", "card", new_pin=LAST_PIN)
        for named in ("seal-2026", key, "CN=Segel 2026"):
            assert named in shown
        assert done.returncode == 0, done.stderr + office.tail()
        office.wait_state("inactive")
        assert office.activate(LAST_PIN).returncode == 0
        assert office.well("wayan", "--json", "token", "objects", "card") == ""
        with pytest.raises(segel.errors.SegelError):
            signer.sign_digest(bytes(32), timeout=5)
        acts = office.well("wayan", "audit", "tail", "-n", "200", "--dir", str(office.folder / "state/audit"))
        assert "token initialised" in acts
        assert "key generated" in acts
    for secret in (SO_PIN, PIN, LAST_PIN):
        assert secret not in (office.folder / "log").read_text()
        assert secret not in acts


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, testbed: Testbed) -> Iterator[TwoOfficers]:
    """Where a daemon is serving already, and the token is active with one certified key."""
    office = TwoOfficers(tmp_path_factory.mktemp("sealed"), testbed)
    office.commands = Commands()
    with closing(office.commands), office.serving() as office.client:
        office.wait_state("absent")
        office.set_up()
        assert office.activate(PIN).returncode == 0
        office.key = office.generate("seal")["name"]
        office.certify(office.key)
        yield office


def test_a_changed_pin_and_one_set_by_the_so_pin(sealed: TwoOfficers) -> None:
    signer = sealed.client.signer(sealed.key)
    wrong = sealed.as_officer(
        "wayan", "token", "pin-change", "card", "--pin-file", sealed.secret("old", "000000"),
        "--new-pin-file", sealed.secret("new", NEW_PIN),
    )  # fmt: skip
    assert wrong.returncode != 0
    assert "refused" in wrong.stderr
    assert signer.sign_digest(bytes(32))
    sealed.well(
        "wayan", "token", "pin-change", "card", "--pin-file", sealed.secret("old", sealed.pin),
        "--new-pin-file", sealed.secret("new", NEW_PIN),
    )  # fmt: skip
    assert signer.sign_digest(bytes(32))
    sealed.well("wayan", "token", "deactivate", "card")
    assert sealed.activate(sealed.pin).returncode != 0
    sealed.pin = NEW_PIN
    assert sealed.activate(NEW_PIN).returncode == 0
    _, refused = sealed.together("token", "pin-unblock", "card", so_pin="wrong-so-pin", new_pin=LAST_PIN)
    assert refused.returncode != 0
    assert "SO PIN" in refused.stderr
    _, done = sealed.together("token", "pin-unblock", "card", new_pin=LAST_PIN)
    assert done.returncode == 0, done.stderr + sealed.tail()
    sealed.pin = LAST_PIN
    sealed.well("wayan", "token", "deactivate", "card")
    assert sealed.activate(LAST_PIN).returncode == 0
    assert signer.sign_digest(bytes(32))


def test_a_key_that_was_made_meanwhile_is_not_lost_with_those_that_were_named(sealed: TwoOfficers) -> None:
    there = len(sealed.token().keys)
    number = sealed.well("wayan", "token", "init", "card", "--yes").split("changes/")[1].split(" ")[0]
    sealed.well("made", "change", "approve", number, "--yes")
    sealed.generate("second")
    secrets = ("--so-pin-file", sealed.secret("so", SO_PIN), "--new-pin-file", sealed.secret("new", PIN))
    late = sealed.as_officer("wayan", "change", "run", number, *secrets)
    assert late.returncode != 0
    assert "would not do what it said" in late.stderr
    assert len(sealed.token().keys) == there + 1


def test_a_quarantine_needs_one_officer_and_a_reason(sealed: TwoOfficers) -> None:
    signer = sealed.client.signer(sealed.key)
    assert sealed.as_officer("wayan", "token", "quarantine", "card", "--reason", " ").returncode != 0
    sealed.well("made", "token", "quarantine", "card", "--reason", "the reader was found open")
    assert "the reader was found open" in sealed.well("wayan", "token", "show", "card")
    with pytest.raises(segel.errors.SegelError):
        signer.sign_digest(bytes(32), timeout=2)
    assert sealed.activate(sealed.pin).returncode != 0
    sealed.well("wayan", "token", "release", "card")
    sealed.wait_state("active")
    assert signer.sign_digest(bytes(32))
