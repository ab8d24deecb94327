"""The policy's file: taken at the first start, and later only compared with what is in force."""

import asyncio
from pathlib import Path

from segeld.config.strict import Problem
from segeld.office.compiling import Compiled, compile_text
from segeld.office.policy_kept import Kept
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


async def differs(file: Path, kept: Kept) -> str:
    """That the file is not what is in force, and what to do then; empty if it is, or if there is none."""
    try:
        text = await asyncio.to_thread(file.read_bytes)
    except OSError:
        return ""  # the record is what counts
    if text == kept.toml.encode(errors="surrogateescape"):
        return ""
    return (
        f"The file {file} differs from the policy in force and has no effect. It is put in force with segelctl "
        f"policy apply {file} and looked at with segelctl policy check {file} before; and it is brought up to "
        f"date with segelctl policy show --output {file} at any time"
    )
