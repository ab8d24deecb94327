"""`segelctl audit find`, `prove`, `verify` and `tail` from another machine: the daemon is asked, and what it says is checked
here.
"""

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from segel.cli.failures import UsageError
from segel.cli.session import Session
from segeld.ctl.audit_command import DEFAULT_FOLDER

if TYPE_CHECKING:
    from segel.officer_log import Findings, Found, OfficerLog
    from segeld.audit.find import Chunk, Done, Item
    from segeld.audit.note import Verifier
    from segeld.audit.report import Report

T = TypeVar("T")
_SHOWN_EVERY: Final = 1_000


def is_remote(folder: Path | None) -> bool:
    """Whether no log was named and none is on this machine."""
    return folder is None and not os.environ.get("SEGEL_AUDIT_DIR") and not DEFAULT_FOLDER.exists()


def ask(session: Session, work: "Callable[[OfficerLog], Coroutine[Any, Any, T]]") -> T:
    """:raises SegelError: what the daemon said, or why it cannot be reached."""
    import asyncio

    async def run() -> T:
        async with session.officer() as officer:
            return await work(officer.log)

    return asyncio.run(run())


def look_for(session: Session, requests: "list[dict[str, Any]]", *, everything: bool) -> "list[Findings]":
    """What the daemon has found for each.

    :raises SegelError: what the daemon said, or why it cannot be reached.
    :raises BadProof: if it answered with something else.
    """

    async def find(log: "OfficerLog") -> "list[Findings]":
        findings = []
        for one in requests:
            findings.append(await log.find(**one, everything=everything))
            for each in findings[-1].entries:
                check_asked(each, one)
        return findings

    return ask(session, find)


def check_asked(found: "Found", wanted: "dict[str, Any]") -> None:
    """A proof of another letter proves nothing about this one. What a digest leads to only the salt can tell.

    :raises BadProof: if it is about another signature or job.
    """
    from segeld.audit.find import Done
    from segeld.audit.proof import BadProof
    from segeld.model.names import JobName

    if "signature_sha256" in wanted:
        right = item(found, None).signature == wanted["signature_sha256"]
    elif "job" in wanted:
        this = checked(found, None)
        name = JobName.parse(wanted["job"])
        right = (
            this.act.subject == str(name)
            if isinstance(this, Done)
            else any(part.work == name.token for part in this.intent.parts)
        )
    else:
        return
    if not right:
        raise BadProof("the daemon answered with something else than it was asked for")


def checked(found: "Found", verifier: "Verifier | None") -> "Chunk | Done":
    """What two proofs say.

    :raises BadProof: if they prove nothing.
    """
    from segeld.audit.find import Chunk, Done
    from segeld.audit.leaf import Act, Intent, Outcome
    from segeld.audit.proof import BadProof

    outcome_leaf, outcome = leaf_of(found.outcome, verifier) if found.outcome else (None, None)
    if not found.intent:
        if outcome_leaf is None or not isinstance(outcome, Act):
            raise BadProof("the daemon answered with something else than it was asked for")
        return Done(outcome_leaf, outcome)
    intent_leaf, intent = leaf_of(found.intent, verifier)
    if not isinstance(intent, Intent) or not isinstance(outcome, Outcome | None):
        raise BadProof("the daemon answered with something else than it was asked for")
    if outcome is not None and outcome.intent != intent_leaf:
        raise BadProof("the daemon answered with an intent of another outcome")
    return Chunk(intent_leaf, intent, outcome_leaf, outcome)


def item(found: "Found", verifier: "Verifier | None") -> "Item":
    """:raises BadProof: if this is not proven."""
    from segeld.audit.find import Chunk, items_of
    from segeld.audit.proof import BadProof

    chunk = checked(found, verifier)
    if isinstance(chunk, Chunk) and chunk.outcome is not None:
        for one in items_of(chunk, chunk.outcome):
            if one.position == found.position:
                return one
    raise BadProof("the daemon answered with something else than it was asked for")


def leaf_of(proof: bytes, verifier: "Verifier | None") -> "tuple[int, Any]":
    """Index and leaf of a proof; who signed its checkpoint is checked only with a key.

    :raises BadProof: if it proves nothing.
    """
    from segeld.audit.checkpoint import Checkpoint
    from segeld.audit.leaf import decode
    from segeld.audit.proof import Proof

    parsed = Proof.parse(proof)
    if verifier is not None:
        parsed.check(verifier)
    else:
        parsed.check_against(Checkpoint.unverified(parsed.note))
    return parsed.index, decode(parsed.leaf)


async def streamed(log: "OfficerLog", verifier: "Verifier", progress: Callable[[int, int], None]) -> "Report":
    """Verifies every leaf that the daemon has, as they come; of those that were archived, their hashes.

    :raises SegelError: what the daemon said, or why it cannot be reached any more.
    :raises BadProof: if what it says of its first leaf is not so.
    """
    from segeld.audit.streamed import Streamed
    from segeld.ctl.audit_stream import Stream

    note = (await log.state()).checkpoint
    check = Streamed(note, verifier)
    if not check.size:
        return check.finish()
    edge = await Stream(log, note, verifier).begin()
    check.begin(edge)
    async for index, leaf in log.entries(edge.size, check.size - edge.size):
        check.take(index, leaf)
        if index % _SHOWN_EVERY == 0:
            progress(index, check.size)
    return check.finish()


def only_local(what: str) -> UsageError:
    return UsageError(f"{what} needs the log's folder: give --dir, or run it on the daemon's machine")
