"""What was given on a command line to look for, as what the log can be searched for."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from segel.cli.failures import UsageError

if TYPE_CHECKING:
    from segeld.audit.find import Chunk, Done, Item
    from segeld.audit.leaf import Act, Intent
    from segeld.audit.reader import Log
    from segeld.ctl.audit_pdf import Seal

_HASHES: Final = ("sha256", "sha384", "sha512")
_READ_AS_MESSAGE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing to look for: a signature by its SHA-256, or else a digest."""

    signature: bytes | None = None
    digest: bytes | None = None
    seal: "Seal | None" = None
    """Where the signature stands, if it was taken from a PDF."""

    @property
    def request(self) -> dict[str, bytes | None]:
        """As the daemon is asked for it."""
        return {"signature_sha256": self.signature} if self.signature else {"digest": self.digest}


def wanted(*, digest: str | None, file: Path | None, signature: str | None) -> list[Wanted]:
    """:raises UsageError: if what was given is no digest, no signature and no file."""
    from segeld.ctl.audit_pdf import is_pdf, seals

    if signature is not None:
        return [Wanted(signature=signature_hash(signature))]
    if file is not None and file.is_file() and is_pdf(file) and (found := seals(file)):
        return [Wanted(signature=one.hash, seal=one) for one in found]
    return [Wanted(digest=one) for one in digests(digest, file)]


def items(log: "Log", one: Wanted, *, everything: bool = False) -> "Iterator[Item]":
    """:param everything: without the index.
    :raises UsageError: if the salt is not there.
    """
    from segeld.audit import find as search
    from segeld.audit.reader import read_salt

    if one.signature is not None:
        return search.items(log, signature=one.signature, everything=everything)
    assert one.digest is not None
    commitments = read_salt(log.folder)
    if isinstance(commitments, str):
        raise UsageError(
            f"{commitments}; without it no digest can be found, for the log holds none in the clear"
        )
    return search.items(log, commitment=commitments.of(one.digest), everything=everything)


def chunks(
    log: "Log",
    job: str | None,
    caller: str | None,
    since: str | None,
    until: str | None,
    *,
    everything: bool = False,
) -> "Iterator[Chunk | Done]":
    from segeld.audit import find as search
    from segeld.model.names import BadName, JobName

    if job is not None:
        try:
            name = JobName.parse(job if job.startswith("jobs/") else f"jobs/{job}")
        except BadName as error:
            raise UsageError(str(error)) from None
        return search.of_job(log, name, everything=everything)
    wanted, wanted_act = narrowed(caller, since, until)
    return search.chunks(log, wanted, wanted_act, () if caller is None else (caller.encode(),))


def narrowed(
    caller: str | None, since: str | None, until: str | None
) -> "tuple[Callable[[Intent], bool], Callable[[Act], bool]]":
    """Which chunks and which acts are of this caller and this time.

    :raises UsageError: if a time is none.
    """
    first, end = time_span(since, until)

    def wanted(intent: "Intent") -> bool:
        return first <= intent.at < end and caller in {None, intent.caller}

    def wanted_act(act: "Act") -> bool:
        return first <= act.at < end and caller in {None, act.who}

    return wanted, wanted_act


def time_span(since: str | None, until: str | None) -> tuple[int, int]:
    """Milliseconds since the epoch: the first, and the first that is beyond.

    :raises UsageError: if one is no time, or they are the wrong way round.
    """
    first, end = milliseconds(since, 0), milliseconds(until, 1 << 63)
    if first >= end:
        raise UsageError(f"nothing is from {since} on and before {until}: give the earlier time first")
    return first, end


def milliseconds(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time: 2026-11-01 or 2026-11-01T08:30 is expected") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def digests(digest: str | None, file: Path | None) -> list[bytes]:
    if digest is not None:
        return [_octets(digest, "--digest")]
    assert file is not None
    if not file.exists():
        raise UsageError(f"there is no file {file}")
    if file.is_dir():
        raise UsageError(f"{file} is a folder, not a file")
    hashers = [hashlib.new(name) for name in _HASHES]
    with file.open("rb") as stream:
        start = stream.read(_READ_AS_MESSAGE + 1)
        part = start
        while part:
            for hasher in hashers:
                hasher.update(part)
            part = stream.read(1 << 20)
    return [hasher.digest() for hasher in hashers] + ([start] if len(start) <= _READ_AS_MESSAGE else [])


def signature_hash(given: str) -> bytes:
    path = Path(given)
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).digest()
    data = _octets(given, "--signature: there is no such file, and as a SHA-256 it")
    if len(data) != 32:
        raise UsageError("--signature: a SHA-256 has 64 hex digits")
    return data


def _octets(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"{what} is not hexadecimal") from None
