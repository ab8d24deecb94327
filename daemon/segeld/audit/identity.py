"""A log's own files beside the tree: its name and key, and the salt of its commitments. Made once, then only read.

The private key stands outside of the folder, so that the folder can be copied to whoever wants to verify. What is made
new is complete under another name before it takes its place; `open_log` finishes what was interrupted.
"""

import contextlib
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from segeld.audit import files, layout
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.leaf import HASH, Commitments, Opened
from segeld.audit.note import BadNote, Signer, Verifier
from segeld.audit.source import LogUnfit

FOLDER: Final = "audit"
PRIVATE_KEY: Final = "audit.key"
_SECRET_MODE: Final = 0o600


class LogIncomplete(LogUnfit):
    """Of the log's folder, its key and its salt something is missing or does not belong to the rest."""


@dataclass(frozen=True, slots=True)
class OwnLog:
    """The log that this daemon writes."""

    folder: Path
    signer: Signer
    commitments: Commitments
    previous: str
    """The last checkpoint of the log that this one continues; empty for the first."""

    @property
    def origin(self) -> str:
        return self.signer.verifier.name

    def opened(self, at: int) -> Opened:
        """The first leaf, to be recorded when there is none.

        :param at: milliseconds since the epoch.
        """
        return Opened(at, self.origin, self.previous)


def open_log(state_dir: Path, origin: str | None = None) -> OwnLog:
    """Loads the log of a state directory; makes it at the first start.

    :param origin: the name of a log that is made now; `segel/` and 16 hex digits if not given.
    :raises LogIncomplete: if only parts of it are there.
    """
    folder, fresh = state_dir / FOLDER, state_dir / f"{FOLDER}{files.NEW}"
    if not folder.exists():
        if not (fresh / layout.KEY).exists():
            if (state_dir / PRIVATE_KEY).exists():
                raise LogIncomplete(f"{folder} is gone, though {state_dir / PRIVATE_KEY} is there.")
            _prepare(state_dir, origin, "")
        _finish(state_dir)
    elif fresh.exists():  # a log that was not to be: setting this one aside was interrupted before it began
        shutil.rmtree(fresh)
        (state_dir / f"{PRIVATE_KEY}.next").unlink(missing_ok=True)
    return _load(state_dir)


def set_aside(state_dir: Path, origin: str | None = None) -> OwnLog:
    """For a restore: keeps the old log as `audit-<end of its origin>-<size>`, and opens a new one linked to it.

    The old private key is destroyed: nobody can add to the old log. The database's leaves must begin anew, with
    `opened` of what this gives.

    :raises LogIncomplete: if there is no log whose checkpoint or key can be read.
    """
    folder = state_dir / FOLDER
    if not folder.exists():
        return open_log(state_dir, origin)  # it was interrupted, or there is nothing to set aside
    try:
        note = (folder / layout.CHECKPOINT).read_bytes()
        last = Checkpoint.unverified(note)
    except FileNotFoundError:
        note, last = b"", Checkpoint(_verifier(folder).name, 0, bytes(HASH))
    except BadNote as error:
        raise LogIncomplete(f"{folder / layout.CHECKPOINT}: {error}.") from None
    aside = state_dir / f"{FOLDER}-{last.origin.rpartition('/')[2]}-{last.size}"
    _prepare(state_dir, origin, note.decode())
    folder.rename(aside)
    files.sync([state_dir])
    _finish(state_dir)
    return _load(state_dir)


def _prepare(state_dir: Path, origin: str | None, previous: str) -> None:
    """A whole new log beside the place where it will be. key.pub comes last: with it, all is there."""
    fresh = state_dir / f"{FOLDER}{files.NEW}"
    if fresh.exists():
        shutil.rmtree(fresh)
    files.make_folder(fresh)
    key = Ed25519PrivateKey.generate()
    signer = Signer(origin or f"segel/{secrets.token_hex(8)}", key)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files.write(state_dir / f"{PRIVATE_KEY}.next", pem, durable=True, mode=_SECRET_MODE)
    files.write(fresh / layout.SALT, secrets.token_bytes(HASH), durable=True, mode=_SECRET_MODE)
    if previous:
        files.write(fresh / layout.PREVIOUS, previous.encode(), durable=True)
    files.sync([state_dir, fresh])
    files.write(fresh / layout.KEY, f"{signer.verifier}\n".encode(), durable=True)
    files.sync([fresh])


def _finish(state_dir: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was moved before the interruption
        (state_dir / f"{PRIVATE_KEY}.next").replace(state_dir / PRIVATE_KEY)
    files.sync([state_dir])
    (state_dir / f"{FOLDER}{files.NEW}").rename(state_dir / FOLDER)
    files.sync([state_dir])


def _load(state_dir: Path) -> OwnLog:
    folder = state_dir / FOLDER
    verifier = _verifier(folder)
    try:
        key = load_pem_private_key((state_dir / PRIVATE_KEY).read_bytes(), None)
        salt = (folder / layout.SALT).read_bytes()
    except (FileNotFoundError, ValueError) as error:
        raise LogIncomplete(f"The key or the salt of the audit log cannot be used: {error}.") from None
    if not isinstance(key, Ed25519PrivateKey) or Signer(verifier.name, key).verifier != verifier:
        raise LogIncomplete(f"{state_dir / PRIVATE_KEY} is not the private key of {folder / layout.KEY}.")
    if len(salt) != HASH:
        raise LogIncomplete(f"{folder / layout.SALT} has {len(salt)} octets; {HASH} are expected.")
    previous = folder / layout.PREVIOUS
    text = previous.read_text() if previous.exists() else ""
    return OwnLog(folder, Signer(verifier.name, key), Commitments(salt), text)


def _verifier(folder: Path) -> Verifier:
    path = folder / layout.KEY
    try:
        return Verifier.parse(path.read_text())
    except FileNotFoundError:
        raise LogIncomplete(f"{path} is missing.") from None
    except (BadNote, UnicodeDecodeError) as error:
        raise LogIncomplete(f"{path}: {error}.") from None
