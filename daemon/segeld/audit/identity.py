"""A log's own files beside the tree: its name and key, and the salt of its commitments. Made once, then only read.

The private key stands outside of the folder, so that the folder can be copied to whoever wants to verify. What is made
new is complete under another name before it takes its place; `open_log` finishes what was interrupted.
"""

import contextlib
import os
import secrets
import shutil
import time
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
from segeld.audit.note import BadNote, Signer, Verifier, is_name
from segeld.audit.source import LogUnfit
from segeld.model.counts import counted

FOLDER: Final = "audit"
PRIVATE_KEY: Final = "audit.key"
_RECORD_KEY: Final = "records-of "
"""What a line begins with that `record_keys` reads."""
_RECORDS_SEALED: Final = "records-sealed"
"""The line that says that officers' records have had a seal: since then none without it are taken for older ones."""
_MOST_KEYS: Final = 100
_SECRET_MODE: Final = 0o600
_LONGEST: Final = 4096
"""Octets of a checkpoint that is taken for one."""
_LONGEST_NAME: Final = 200


class LogIncomplete(LogUnfit):
    """Of the log's folder, its key and its salt something is missing or does not belong to the rest."""


@dataclass(frozen=True, slots=True)
class OwnLog:
    """The log that this daemon writes."""

    folder: Path
    signer: Signer
    commitments: Commitments
    previous: str
    """The last checkpoint of the log that this one continues; empty for the first, or if that could not be read."""
    restored: str = ""
    """The log of the database with which this one was begun by a restore; empty if it was not."""
    records_sealed: bool = False
    """Whether the database's records were ever under the seal of `record_key`."""

    @property
    def origin(self) -> str:
        return self.signer.verifier.name

    @property
    def record_key(self) -> bytes:
        """For a seal over what the database keeps of officers' decisions. 32 octets."""
        return _record_key(self.signer)

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
            _prepare(state_dir, origin, "", "")
        _finish(state_dir)
    elif fresh.exists():  # a log that was not to be: setting this one aside was interrupted before it began
        shutil.rmtree(fresh)
        (state_dir / f"{PRIVATE_KEY}.next").unlink(missing_ok=True)
    return _load(state_dir)


def nothing_left(state_dir: Path) -> bool:
    """Whether there is neither a log, nor one that is being made, nor a key of one."""
    names = (FOLDER, f"{FOLDER}{files.NEW}", PRIVATE_KEY)
    return not any(os.path.lexists(state_dir / name) for name in names)


def exposed(folder: Path) -> list[Path]:
    """What others than the daemon can read and should not: the private key, by its group as well, and the salt."""
    found = []
    for path, bits in ((folder.parent / PRIVATE_KEY, 0o077), (folder / layout.SALT, 0o007)):
        with contextlib.suppress(OSError):
            if path.stat().st_mode & bits:
                found.append(path)
    return found


@dataclass(frozen=True, slots=True)
class NextLog:
    """A new log that is ready beside the place of the old one: to `begin`, or to `drop`."""

    state_dir: Path
    aside: Path | None
    """Where the old log will be; None if nothing is left of it."""

    def begin(self) -> OwnLog:
        """Puts the old log aside and the new one in its place. The old private key is destroyed: nobody can add to it.

        Interrupted after the old log was put aside, it is finished by `open_log`.

        :raises OSError: if that is not possible; as long as the old private key is there, the old log is in its place.
        """
        folder = self.state_dir / FOLDER
        try:
            if self.aside is not None:
                folder.rename(self.aside)
                files.sync([self.state_dir])
            elif folder.exists():
                folder.rmdir()
            _finish(self.state_dir)
        except OSError:
            self._undo()
            raise
        return _load(self.state_dir)

    def _undo(self) -> None:
        folder, aside = self.state_dir / FOLDER, self.aside
        unused = (self.state_dir / f"{PRIVATE_KEY}.next").exists()
        if unused and aside is not None and aside.exists() and not folder.exists():
            aside.rename(folder)

    def drop(self) -> None:
        """All is as it was."""
        shutil.rmtree(self.state_dir / f"{FOLDER}{files.NEW}", ignore_errors=True)
        (self.state_dir / f"{PRIVATE_KEY}.next").unlink(missing_ok=True)


def set_aside(state_dir: Path, origin: str | None = None, restored: str = "") -> OwnLog:
    """`prepare_next` and `begin` at once."""
    return prepare_next(state_dir, origin, restored).begin()


def prepare_next(state_dir: Path, origin: str | None = None, restored: str = "") -> NextLog:
    """For a restore: the old log will be kept as `audit-<end of its origin>-<size>`, as far as these can be read.

    The new one is linked to the old one's last checkpoint if there is one. The database's leaves must begin anew, with
    `opened` of the new one.

    :param restored: the log that the restored database belongs to.
    :raises OSError: if it cannot be made, or the old one may not be read; all is as it was.
    """
    folder = state_dir / FOLDER
    if not os.path.lexists(folder) and (state_dir / f"{FOLDER}{files.NEW}" / layout.KEY).exists():
        _finish(state_dir)  # an earlier one was interrupted
    left = os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir()))
    name, previous = _left_of(folder) if left else ("", "")
    following = NextLog(state_dir, _free(state_dir / f"{FOLDER}-{name}") if left else None)
    try:
        _prepare(state_dir, origin, previous, restored)
    except OSError:
        following.drop()
        raise
    return following


def record_keys(state_dir: Path) -> dict[str, bytes]:
    """By the origin of an earlier log, the key of the records of its time: so the records of a backup can be judged after
    the private key of its log is gone. They stand behind the present private key, in its file.
    """
    found = {}
    with contextlib.suppress(OSError, ValueError):
        for line in (state_dir / PRIVATE_KEY).read_text().splitlines():
            if line.startswith(_RECORD_KEY):
                name, key = line.removeprefix(_RECORD_KEY).split(" ")
                found[name] = bytes.fromhex(key)
    return found


def note_records_sealed(state_dir: Path) -> None:
    """For a log of an earlier version, once its records are.

    :raises OSError: if it cannot be written down; all is as it was.
    """
    path = state_dir / PRIVATE_KEY
    files.write(path, path.read_bytes() + f"{_RECORDS_SEALED}\n".encode(), durable=True, mode=_SECRET_MODE)
    files.sync([state_dir])


def _record_keys_after(state_dir: Path) -> str:
    """The same, with the key of the log that ends; as lines."""
    known = record_keys(state_dir)
    with contextlib.suppress(OSError, ValueError):
        verifier = _verifier(state_dir / FOLDER)
        key = load_pem_private_key((state_dir / PRIVATE_KEY).read_bytes(), None)
        if isinstance(key, Ed25519PrivateKey) and (ended := Signer(verifier.name, key)).verifier == verifier:
            known[verifier.name] = _record_key(ended)
    return "".join(f"{_RECORD_KEY}{name} {key.hex()}\n" for name, key in list(known.items())[-_MOST_KEYS:])


def _record_key(signer: Signer) -> bytes:
    return signer.derived(b"segel records v1")


def _left_of(folder: Path) -> tuple[str, str]:
    """What can be known of a log that may be broken: how to name it, and the checkpoint to link the next one to."""
    note = _note(folder / layout.CHECKPOINT)
    if note is not None:
        last = Checkpoint.unverified(note.encode())
        return f"{last.origin.rpartition('/')[2]}-{last.size}", note
    now = time.strftime("%Y%m%dT%H%M%S")
    try:
        name = _verifier(folder).name.rpartition("/")[2]
    except PermissionError:
        raise
    except OSError:
        return now, ""
    if len(name) > _LONGEST_NAME:
        return now, ""
    if (folder / "tile").exists() or (folder / layout.CHECKPOINT).exists():
        return f"{name}-{now}", ""
    # It never began: what it was to continue is continued.
    return f"{name}-0", _note(folder / layout.PREVIOUS) or ""


def _note(path: Path) -> str | None:
    """A checkpoint, whoever signed it; None if it is not there, or is none."""
    try:
        text = path.read_bytes().decode()
        origin = Checkpoint.unverified(text.encode()).origin
    except PermissionError:
        raise
    except (OSError, ValueError):
        return None
    return text if len(text) <= _LONGEST and is_name(origin) and len(origin) <= _LONGEST_NAME else None


def _free(path: Path) -> Path:
    """A name that nothing has yet."""
    free, number = path, 1
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free


def _prepare(state_dir: Path, origin: str | None, previous: str, restored: str) -> None:
    """A whole new log beside the place where it will be. key.pub comes last: with it, all is there."""
    fresh = state_dir / f"{FOLDER}{files.NEW}"
    if fresh.exists():
        shutil.rmtree(fresh)
    files.make_folder(fresh)
    key = Ed25519PrivateKey.generate()
    signer = Signer(origin or f"segel/{secrets.token_hex(8)}", key)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem += f"{_record_keys_after(state_dir)}{_RECORDS_SEALED}\n".encode()
    files.write(state_dir / f"{PRIVATE_KEY}.next", pem, durable=True, mode=_SECRET_MODE)
    files.write(fresh / layout.SALT, secrets.token_bytes(HASH), durable=True, mode=_SECRET_MODE)
    if previous:
        files.write(fresh / layout.PREVIOUS, previous.encode(), durable=True)
    if restored:
        files.write(fresh / layout.RESTORED, f"{restored}\n".encode(), durable=True)
    files.sync([state_dir, fresh])
    files.write(fresh / layout.KEY, f"{signer.verifier}\n".encode(), durable=True)
    files.sync([fresh])


def _finish(state_dir: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was moved before the interruption
        (state_dir / f"{PRIVATE_KEY}.next").replace(state_dir / PRIVATE_KEY)
    files.sync([state_dir])
    (state_dir / f"{FOLDER}{files.NEW}").rename(state_dir / FOLDER)
    files.sync([state_dir])


def _load(state_dir: Path, name: str = FOLDER) -> OwnLog:
    folder = state_dir / name
    verifier = _verifier(folder)
    try:
        pem = (state_dir / PRIVATE_KEY).read_bytes()
        key = load_pem_private_key(pem, None)
        salt = (folder / layout.SALT).read_bytes()
    except (FileNotFoundError, ValueError) as error:
        raise LogIncomplete(f"The key or the salt of the audit log cannot be used: {error}.") from None
    if not isinstance(key, Ed25519PrivateKey) or Signer(verifier.name, key).verifier != verifier:
        raise LogIncomplete(f"{state_dir / PRIVATE_KEY} is not the private key of {folder / layout.KEY}.")
    if len(salt) != HASH:
        raise LogIncomplete(f"{folder / layout.SALT} has {counted(len(salt), 'octet')}; {HASH} are expected.")
    return OwnLog(
        folder,
        Signer(verifier.name, key),
        Commitments(salt),
        _text(folder / layout.PREVIOUS),
        _text(folder / layout.RESTORED).strip(),
        _RECORDS_SEALED.encode() in pem.splitlines(),
    )


def signer_of(folder: Path) -> Signer:
    """The private key of a log that a daemon of this machine writes.

    :raises LogIncomplete: if it is not beside the folder, or belongs to another log.
    :raises PermissionError: if it may not be read.
    """
    path = folder.parent / PRIVATE_KEY
    if not path.exists():
        raise LogIncomplete(f"{path} is missing: this is not the log of a daemon on this machine.")
    return _load(folder.parent, folder.name).signer


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise LogIncomplete(f"{path} is no text.") from None


def _verifier(folder: Path) -> Verifier:
    path = folder / layout.KEY
    try:
        return Verifier.parse(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise LogIncomplete(f"{path} is missing.") from None
    except (BadNote, UnicodeDecodeError) as error:
        raise LogIncomplete(f"{path}: {error}.") from None
