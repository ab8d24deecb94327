"""What was promised, against what clients were told and what the log says. What does not hold is in `journal.wrong`."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from crash_journal import Asked, Journal, Story
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from served import Served

_P256 = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


def check_with_segelctl(journal: Journal, served: Served, folder: Path, vkey: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "segeld.ctl", "audit", "verify", "--dir", folder, "--key", vkey],
        capture_output=True,
        text=True,
        check=False,
        env=served.environment,
    )
    if done.returncode:
        journal.say(f"segelctl audit verify: {done.stdout}{done.stderr}")


def check_ends(journal: Journal) -> None:
    """Everything has ended, and in no other way than it may."""
    for asked in journal.asked:
        if not asked.answered:
            journal.say(f"{asked.request_id} was never answered in full")
    for story in journal.stories:
        missing = [place for place in range(len(story.digests)) if place not in story.got]
        if missing or not story.state:
            journal.say(f"{story.name} has no result for {missing[:9]}; it is {story.state}")
        reasons = {told for told in story.got.values() if isinstance(told, str)}
        allowed = {"WORKER_LOST", "CANCELLED"} if story.cancelled else {"WORKER_LOST"}
        if not reasons <= allowed:
            journal.say(f"{story.name} was not signed, but {reasons}; it is {story.state}")


def check_signatures(journal: Journal, public_key: Path) -> None:
    key = serialization.load_pem_public_key(public_key.read_bytes())
    for what, digest, value in released(journal):
        try:
            key.verify(value, digest, _P256)
        except InvalidSignature:
            journal.say(f"{what}: {hashlib.sha256(value).hexdigest()} is no signature of its digest")


def released(journal: Journal) -> Iterator[tuple[str, bytes, bytes]]:
    """Every signature that a client has: of what, the digest, the octets."""
    work: Asked | Story
    for work in (*journal.asked, *journal.stories):
        for position, told in work.got.items():
            if isinstance(told, tuple):
                yield f"{work.request_id}[{position}]", work.digests[position], told[0]
