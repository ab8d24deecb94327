"""The policy's file: taken at the first start, and later only compared with what is in force."""

import hashlib
from pathlib import Path

from segeld.config.strict import Problem
from segeld.office.compiling import Compiled, compile_text
from segeld.policy import PolicyError


def read_policy(file: Path) -> Compiled:
    """:raises PolicyError: with every fault."""
    rules = compile_text(_text(file))
    if rules.problems:
        raise PolicyError(list(rules.problems))
    return rules


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise PolicyError([Problem("", f"{file} cannot be read: {error.strerror}")]) from None


def hash_of(file: Path) -> bytes:
    """As `policy_hash` of its text; empty if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return b""


def copy_of(later: bytes, state_dir: Path) -> Path:
    """Where `segeld restore` keeps the policy of the database that it puts aside.

    :param later: its hash.
    """
    return state_dir / f"policy-{later.hex()}.toml"


def older_one(later: bytes, file: Path) -> str:
    """What to do when the policy in force is not the last that was."""
    return (
        f"The policy in force is an older one, of a backup that was restored: grants that were withdrawn after it, and "
        f"whoever left the policy, are back. Put the last one in force again: segelctl policy apply, with the file of which "
        f"sha256sum says {later.hex()}; or restart segeld with that file as {file}."
    )
