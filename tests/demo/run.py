"""`make demo`: real letters and 10,000 digests, signed through a real daemon, verified with other people's tools."""

import argparse
import hashlib
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from letters import write_letters

import segel
from segel.testing import DevDaemon, DevDaemonError, dev_daemon

OUT: Final = Path("build/demo")
DIGESTS: Final = 10_000
SAMPLE: Final = 100
PDF_KEY: Final = "keys/seal-rsa2048"
DIGEST_KEY: Final = "keys/seal-p256"


class DemoFailedError(Exception):
    """Something did not verify, or a tool failed; the text says what."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="your own PDFs, instead of the sample letters")
    files = parser.parse_args().files
    try:
        require(files)
        say("Starting segeld in front of SoftHSM2 (throw-away tokens, test PKI, mutual TLS) ...")
        began = time.monotonic()
        with dev_daemon(directory=OUT / "testbed") as daemon:
            say(f"  ready after {time.monotonic() - began:.1f} s: {daemon.target}")
            signed = sign_letters(daemon, files or write_letters(OUT / "letters"))
            verify_letters(signed)
            seconds = sign_digests(daemon)
    except (DemoFailedError, DevDaemonError, segel.SegelError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    summary = {
        "signed_pdfs": [str(path) for path in signed],
        "digests_signed": DIGESTS,
        "seconds": round(seconds, 3),
        "signatures_per_second": round(DIGESTS / seconds, 1),
    }
    (OUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    say(f"The signed letters lie in {OUT / 'signed'}; what was done stands in {OUT / 'summary.json'}.")
    return 0


def require(files: Sequence[Path]) -> None:
    for file in files:
        if not file.is_file():
            raise DemoFailedError(f"{file} is not there. FILES takes PDF files, separated by spaces.")


def sign_letters(daemon: DevDaemon, letters: Sequence[Path]) -> list[Path]:
    """With the command, as a user would; earlier results of the demo are replaced."""
    out = OUT / "signed"
    shutil.rmtree(out, ignore_errors=True)
    began = time.monotonic()
    command = ["segel", "pdf", "sign", "--key", PDF_KEY, "--out-dir", str(out), *map(str, letters)]
    say(f"$ {shlex.join(command)}")
    run([sys.executable, "-m", "segel.cli", *command[1:]], environment=daemon.environment)
    signed = sorted(out.iterdir())
    if len(signed) != len(letters):
        raise DemoFailedError(f"{len(letters)} letters went in, {len(signed)} came out")
    say(f"  {len(signed)} letters signed in {time.monotonic() - began:.1f} s (RSA-2048, PAdES B-B)")
    return signed


def verify_letters(signed: Sequence[Path]) -> None:
    for path in signed:
        report = run(["pdfsig", str(path)])
        if "Signature Validation: Signature is Valid." not in report or "Total document signed" not in report:
            raise DemoFailedError(f"pdfsig does not accept {path}:\n{report}")
    say(f"  pdfsig: {len(signed)} of {len(signed)} valid, the whole document signed")


def sign_digests(daemon: DevDaemon) -> float:
    """Signs and verifies all, a sample of them with the command openssl; gives the seconds of the signing alone."""
    digests = [hashlib.sha256(f"surat nomor {number}".encode()).digest() for number in range(DIGESTS)]
    with daemon.client() as client:
        signer = client.signer(DIGEST_KEY)
        began = time.monotonic()
        results = signer.sign_digests(digests)
        seconds = time.monotonic() - began
        certificate = x509.load_der_x509_certificate(signer.key.certificate_chain[0])
    failures = [result for result in results if isinstance(result, segel.Failure)]
    if failures:
        raise DemoFailedError(f"{len(failures)} digests were not signed; the first: {failures[0].error}")
    signatures = [result.value for result in results if isinstance(result, segel.Signature)]
    say(f"  {DIGESTS:,} digests signed in {seconds:.1f} s: {DIGESTS / seconds:,.0f} a second (P-256)")
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    for digest, signature in zip(digests, signatures, strict=True):
        public_key.verify(signature, digest, ec.ECDSA(utils.Prehashed(SHA256())))
    verify_with_openssl(certificate, digests, signatures)
    say(f"  all {DIGESTS:,} verified with the public key; {SAMPLE} of them with the command openssl")
    return seconds


def verify_with_openssl(
    certificate: x509.Certificate, digests: Sequence[bytes], signatures: Sequence[bytes]
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    work = OUT / "openssl"
    work.mkdir(exist_ok=True)
    key = work / "key.pem"
    key.write_bytes(certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for number in random.Random(1).sample(range(len(digests)), SAMPLE):
        (work / "digest").write_bytes(digests[number])
        (work / "signature").write_bytes(signatures[number])
        run(
            [
                "openssl",
                "pkeyutl",
                "-verify",
                "-pubin",
                "-inkey",
                str(key),
                "-in",
                str(work / "digest"),
                "-sigfile",
                str(work / "signature"),
            ]
        )


def run(command: Sequence[str], environment: "dict[str, str] | None" = None) -> str:
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoFailedError(
            f"{shlex.join(command)} failed ({done.returncode}):\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
