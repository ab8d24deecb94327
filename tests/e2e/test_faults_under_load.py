"""Workers are killed, the daemon is told to stop: callers notice as little as can be."""

import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

import segel

TIMEOUT = 60


def children(pid: int) -> dict[int, str]:
    """The daemon's children by their titles."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(entry.name)] = entry.joinpath("cmdline").read_bytes().split(b"\0")[0].decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def workers(daemon, token: str) -> list[int]:
    return [
        pid for pid, title in children(daemon.pid).items() if title.startswith(f"segeld: worker [{token}]")
    ]


def digests(count: int) -> list[bytes]:
    return [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(count)]


def test_workers_killed_while_they_sign_lose_nothing(own_daemon) -> None:
    daemon = own_daemon()
    wanted = digests(6_000)
    stop = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        # Never during a login: SoftHSM2 rewrites token.object then, and a kill would leave it empty.
        while not stop.wait(0.05) and len(killed) < 2:  # a third could end an item that was there each time
            if 'segel_workers_ready{token="segel-a"} 2.0' in metrics(daemon):
                killed.append(workers(daemon, "segel-a")[0])
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    with daemon.client() as client:
        signer = client.signer("keys/seal-p256")
        killer.start()
        results = signer.sign_digests(wanted)
        stop.set()
        killer.join(TIMEOUT)
        public_key = serialization.load_der_public_key(signer.key.public_key)
    assert killed
    failures = [result.error for result in results if isinstance(result, segel.Failure)]
    assert failures == []
    for digest, result in zip(wanted, results, strict=True):
        public_key.verify(result.value, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_sigterm_finishes_what_is_in_flight_and_then_ends(own_daemon) -> None:
    daemon = own_daemon()
    results: list[object] = []
    with daemon.client() as client:
        signer = client.signer("keys/seal-rsa3072")
        thread = threading.Thread(target=lambda: results.extend(signer.sign_digests(digests(400))))
        thread.start()
        deadline = time.monotonic() + TIMEOUT
        while "segel_inputs_open 0.0" in metrics(daemon):
            assert time.monotonic() < deadline
        os.kill(daemon.pid, signal.SIGTERM)
        thread.join(TIMEOUT)
    assert len(results) == 400
    assert not [result for result in results if isinstance(result, segel.Failure)]


def metrics(daemon) -> str:
    from urllib.request import urlopen

    with urlopen(daemon.environment["SEGEL_DEV_METRICS"], timeout=TIMEOUT) as answer:
        return answer.read().decode()


def test_metrics_tell_of_tokens_and_signatures(own_daemon) -> None:
    daemon = own_daemon()
    with daemon.client() as client:
        client.signer("keys/seal-p256").sign_digests(digests(5))
    text = metrics(daemon)
    assert 'segel_inputs_total{result="signed",token="segel-a"} 5.0' in text
    assert 'segel_token_state{segel_token_state="ACTIVE",token="segel-a"} 1.0' in text


@pytest.mark.parametrize("place", ["environ", "cmdline"])
def test_no_process_shows_a_pin(daemon, place) -> None:
    pin = (daemon.directory / "pins" / "segel-a.pin").read_bytes()
    seen = [Path("/proc") / str(pid) / place for pid in (daemon.pid, *children(daemon.pid))]
    contents = [path.read_bytes() for path in seen if os.access(path, os.R_OK)]
    assert contents
    assert not any(pin in content for content in contents)


def test_only_the_front_has_the_network_and_only_workers_the_module(daemon) -> None:
    def maps(pid: int) -> str:
        return (Path("/proc") / str(pid) / "maps").read_text()

    assert "libsofthsm2" not in maps(daemon.pid)
    titles = children(daemon.pid)
    assert sorted(title.split()[1] for title in titles.values()) == ["keeper"] + ["worker"] * 4
    if os.geteuid() == 0:  # PR_SET_DUMPABLE 0: only root can look
        for pid, title in titles.items():
            mapped = maps(pid)
            assert ("libsofthsm2" in mapped) == ("worker" in title)
            assert "cygrpc" not in mapped
