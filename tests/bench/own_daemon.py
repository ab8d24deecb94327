"""`segeld serve` with a policy of its own: as many callers as wanted, each with a certificate and a weight."""

import datetime as dt
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from setting import P256, WORKERS

import segel
from segel_softhsm import Testbed, provision
from segeld.cli.dev_files import write_files


@dataclass(frozen=True)
class Principal:
    name: str
    weight: int
    tls: segel.Tls


@contextmanager
def own_daemon(folder: Path, weights: Sequence[int]) -> Iterator[tuple[str, list[Principal]]]:
    """Gives where it listens, and its callers."""
    testbed = provision(folder, kinds=["p256"])
    shutil.rmtree(folder / "state", ignore_errors=True)
    principals = [
        Principal(f"office-{number}", weight, _issue(testbed, f"office-{number}"))
        for number, weight in enumerate(weights)
    ]
    with ExitStack() as stack:
        config = write_files(testbed, stack, workers=WORKERS, prompt=()).config
        text = config.read_text().replace("dev = true\n", "").replace('level = "warning"', 'level = "info"')
        config.write_text(text)
        (folder / "policy.toml").write_text(_policy(testbed, principals))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "segeld", "serve", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(process.terminate)
        yield _listens(process), principals


def _listens(process: "subprocess.Popen[str]") -> str:
    """Reads its log until it is ready; the little that follows fits into the pipe."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("{") and (event := json.loads(line)).get("event") == "ready":
            return str(event["callers"])
    raise RuntimeError(f"segeld serve did not start:\n{''.join(said)}")


def _policy(testbed: Testbed, principals: Sequence[Principal]) -> str:
    key = testbed.token("segel-a").key(P256.label)
    lines = ["two_person = false", "[aliases]", f'{P256.label} = ["sha256-{key.spki_sha256}"]']
    for one in principals:
        lines += ["", "[[callers]]", f'name = "{one.name}"', f'sans = ["uri:{_uri(one.name)}"]']
        lines += [f"weight = {one.weight}", "", "[[callers.grants]]", 'keys = ["*"]']
    return "\n".join(lines) + "\n"


def _uri(name: str) -> str:
    return f"spiffe://segel.test/bench/{name}"


def _issue(testbed: Testbed, name: str) -> segel.Tls:
    """A client certificate by the testbed's issuing CA."""
    folder = testbed.directory / "bench"
    folder.mkdir(mode=0o700, exist_ok=True)
    issuer = x509.load_pem_x509_certificate(testbed.pki.issuing_ca.read_bytes())
    signing = load_pem_private_key((testbed.directory / "pki/private/issuing-ca.key.pem").read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=7))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(_uri(name))]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
        .sign(signing, hashes.SHA256())
    )
    chain, secret = folder / f"{name}.chain.pem", folder / f"{name}.key.pem"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM) + testbed.pki.issuing_ca.read_bytes())
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    secret.chmod(0o600)
    return segel.Tls(ca=testbed.pki.ca_bundle, cert=chain, key=secret)
