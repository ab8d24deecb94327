"""`segeld restore FILE`: a copy of the database takes its place. The daemon must not run."""

import contextlib
from pathlib import Path
from typing import Final

import typer

from segeld import config
from segeld.app.storage import ORIGIN
from segeld.audit import files
from segeld.audit.identity import FOLDER, NextLog, OwnLog, prepare_next
from segeld.jobqueue.sqlite import FILE, restore, setting_rows
from segeld.jobqueue.sqlite.database import APPLICATION_ID, connect_to_read
from segeld.jobqueue.sqlite.record_seal import PREFIX
from segeld.office import policy_kept
from segeld.office.policy_file import copy_of

_MAGIC: Final = b"SQLite format 3\0"
_APPLICATION_ID_AT: Final = 68


def run(backup: Path, file: Path) -> int:
    try:
        loaded = config.load(file)
    except config.ConfigError as error:
        for line in str(error).splitlines():
            typer.echo(f"segeld restore: {file}: {line}", err=True)
        return 3
    database = loaded.state_dir / FILE
    try:
        if not _is_backup(backup):
            typer.echo(f"segeld restore: {backup} is no backup of segel. Nothing was changed.", err=True)
            return 1
        loaded.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        restored = _log_of(backup)
        # The leaves after the backup are in the old log's files and not in the restored database: that log cannot be
        # continued without contradicting what it promised. The next start begins the new one.
        following = prepare_next(loaded.state_dir, restored=restored)
        try:
            aside = restore(backup, database)
        except BaseException:
            following.drop()
            raise
        policy = None if aside is None else _policy_of(aside)
        log = _begin(following, database, aside)
    except OSError as error:
        typer.echo(f"segeld restore: {error}", err=True)
        return 1
    typer.echo(f"{database}: restored from {backup}")
    if aside is not None:
        typer.echo(f"The database that was there is now {aside}")
    if policy is not None:
        typer.echo(f"The policy that was in force there is kept as {policy}")
    for line in _about(log, following.aside, restored):
        typer.echo(line)
    typer.echo(f"Its public key, to be written down elsewhere: {log.signer.verifier}")
    return 0


def _about(log: OwnLog, aside: Path | None, restored: str) -> list[str]:
    kept = "nothing of it is left" if aside is None else f"what there is of it is now {aside}"
    if log.previous:
        return [f"A new audit log begins with the next start, linked to the old one: {kept}."]
    if aside is None and not restored:
        return ["A new audit log begins with the next start."]
    return [
        f"THE OLD AUDIT LOG CANNOT BE LINKED: it has no checkpoint that can be read; {kept}.",
        "A new audit log begins with the next start. Its first leaves say that it is not linked.",
    ]


def _is_backup(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(100)
    found = head[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4]
    return head.startswith(_MAGIC) and int.from_bytes(found, "big") == APPLICATION_ID


def _log_of(backup: Path) -> str:
    """The log that a database belongs to; empty if it never had one, or is damaged, which restoring it will tell."""
    try:
        with contextlib.closing(connect_to_read(backup)) as db:
            return (setting_rows.read(db, ORIGIN) or b"").decode()
    except Exception:  # noqa: BLE001  # whatever SQLite says of a damaged file
        return ""


def _policy_of(aside: Path) -> Path | None:
    """Keeps the policy of the database that was put aside as a file: if the old log confirms it, it is in force again
    with the next start. None if it cannot be read.
    """
    try:
        with contextlib.closing(connect_to_read(aside)) as db:
            kept = policy_kept.decode(setting_rows.read(db, PREFIX + policy_kept.RECORD) or b"")
    except Exception:  # noqa: BLE001  # it was put aside because it is damaged
        return None
    file = copy_of(kept.hash, aside.parent)
    files.write(file, kept.toml.encode(errors="surrogateescape"), durable=True, mode=0o600)
    return file


def _begin(following: NextLog, database: Path, aside: Path | None) -> OwnLog:
    """If the old log cannot be put aside, the old database comes back as well."""
    old = database.parent / FOLDER
    try:
        return following.begin()
    except OSError:
        if following.aside is not None and old.exists():
            following.drop()
            if aside is None:
                database.unlink()
            else:
                aside.replace(database)
                wal = aside.with_name(f"{aside.name}-wal")
                if wal.exists():
                    wal.replace(database.with_name(f"{database.name}-wal"))
        raise
