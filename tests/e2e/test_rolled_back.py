"""Database and log are both put back to an older state: only the witness knows, and the daemon signs nothing.

One daemon's life, told in order: each test is a chapter of it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from served import Served, wait_until

import segel
from segel import errors
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.leaf import Act, Opened
from segeld.audit.reader import open_log_folder

OFFICERS = ("wayan", "made")


@pytest.fixture(scope="module")
def served(tmp_path_factory, ready_beds):
    """A daemon with two officers and a witness on another mount; the mount is a folder here."""
    folder = tmp_path_factory.mktemp("rolled-back")
    for name in ("place", "elsewhere"):
        (folder / name).mkdir()
    bed = ready_beds.at(folder / "bed", "p256")
    witness = folder / "elsewhere" / "checkpoint"
    made = Served(folder / "place", bed, limits=f'\n[audit.witness]\nfile = "{witness}"\ninterval = 0.1\n')
    made.witness, made.backup, made.copy = witness, folder / "backup.db", folder / "copy"
    policy = made.folder / "policy.toml"
    text = policy.read_text().replace("two_person = false", "")
    for name in OFFICERS:
        text += f'\n[[officers]]\nname = "{name}"\nsans = ["uri:{bed.pki.identities[name].uri}"]\n'
    policy.write_text(text)
    try:
        yield made
    finally:
        made.end()


def sign(served, start: int, timeout: float = 20) -> list:
    digests = [hashlib.sha256(b"letter %d" % number).digest() for number in range(start, start + 5)]
    with segel.BlockingClient.connect(served.target, tls=served.tls("backoffice")) as client:
        return client.signer(served.key_name).sign_digests(digests, timeout=timeout)


def refusals(served) -> set[str]:
    """Why nothing is signed."""
    try:
        return {str(one) for one in sign(served, 200, timeout=3)}
    except errors.SegelError as error:
        return {str(error)}


def segelctl(served, *words, who="wayan", code=0) -> str:
    officer = served.tls(who)
    names = {"CA": officer.ca, "CERT": officer.cert, "KEY": officer.key}
    done = subprocess.run(
        [sys.executable, "-m", "segeld.ctl", *map(str, words)],
        env={
            **os.environ,
            "SEGELCTL_TARGET": f"unix:{served.folder / 'officer.sock'}",
            **{f"SEGELCTL_TLS_{name}": str(file) for name, file in names.items()},
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def segeld(served, *words) -> None:
    subprocess.run(
        [sys.executable, "-m", "segeld", *words, "--config", served.config],
        check=True,
        capture_output=True,
        timeout=60,
    )


def health(served) -> int:
    tls = served.tls("backoffice")
    ca, cert, key = (file.read_bytes() for file in (tls.ca, tls.cert, tls.key))
    with grpc.secure_channel(served.target, grpc.ssl_channel_credentials(ca, key, cert)) as channel:
        request = health_pb2.HealthCheckRequest(service="segel.v1.Signing")
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status


def said(served) -> list[dict]:
    whole, _, _ = served.log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def outcomes(served) -> int:
    """Chunks that came to an end, in the log as it is now."""
    from segeld.audit.leaf import Outcome

    log = open_log_folder(served.state / "audit", None)
    return sum(isinstance(log.leaf(index), Outcome) for index in range(log.checkpoint.size))


def test_the_witness_is_given_what_is_signed(served) -> None:
    served.start()
    served.wait_ready()
    assert all(isinstance(one, segel.Signature) for one in sign(served, 0))
    assert health(served) == health_pb2.HealthCheckResponse.SERVING
    segeld(served, "backup", str(served.backup))
    assert served.stop() == 0
    assert served.witness.read_bytes() == (served.state / "audit/checkpoint").read_bytes()
    shutil.copytree(served.state, served.copy)
    served.start()
    served.wait_ready()
    sign(served, 100)
    assert served.stop() == 0


def test_put_back_it_signs_nothing_and_says_why(served) -> None:
    known = served.witness.read_bytes()
    shutil.rmtree(served.state)
    shutil.copytree(served.copy, served.state)
    served.start()
    wait_until(lambda: "segel_store_trouble" in served.metrics(), served.tail)
    before = outcomes(served)
    # Its token may just be starting: that is another reason, until it is there.
    wait_until(lambda: all("both put back to an older state" in why for why in refusals(served)), served.tail)
    assert health(served) == health_pb2.HealthCheckResponse.NOT_SERVING
    told = segelctl(served, "status", code=9)
    assert "both put back to an older state" in told
    assert "segeld restore" in told
    assert any(each["event"].startswith("the witness contradicts the audit log") for each in said(served))
    refused = segelctl(served, "audit", "adopt", "--yes", code=1)
    assert "segeld restore" in refused
    assert served.witness.read_bytes() == known, "the evidence was overwritten"
    assert served.stop() == 0
    assert served.witness.read_bytes() == known
    assert outcomes(served) == before


def test_two_officers_bring_it_back_with_a_new_log(served) -> None:
    old = Checkpoint.unverified((served.state / "audit/checkpoint").read_bytes())
    segeld(served, "restore", str(served.backup))
    served.start()
    wait_until(lambda: "segel_store_trouble" in served.metrics(), served.tail)
    wait_until(lambda: all("audit adopt" in why for why in refusals(served)), served.tail)

    asked = segelctl(served, "audit", "adopt", "--yes")
    assert "Let the witness forget what it holds" in asked
    (number,) = set(re.findall(r"segelctl change approve (\d+)", asked))
    segelctl(served, "change", "approve", number, "--yes", code=4)  # by the same officer
    segelctl(served, "change", "approve", number, "--yes", who="made")
    segelctl(served, "change", "run", number)
    assert all(isinstance(one, segel.Signature) for one in sign(served, 200))
    assert health(served) == health_pb2.HealthCheckResponse.SERVING
    assert served.stop() == 0
    log = open_log_folder(served.state / "audit", None)
    opened = log.leaf(0)
    assert isinstance(opened, Opened)
    assert opened.origin == log.checkpoint.origin != old.origin
    assert Checkpoint.unverified(opened.previous.encode()).origin == old.origin
    acts = [leaf for leaf in map(log.leaf, range(log.checkpoint.size)) if isinstance(leaf, Act)]
    (adopted,) = [act for act in acts if act.what == "log adopted"]
    assert (adopted.who, adopted.facts["approved_by"]) == OFFICERS
    assert "witness" in adopted.facts
    assert served.witness.read_bytes() == log.note
