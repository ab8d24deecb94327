"""`segeld restore FILE`: a copy of the database takes its place. The daemon must not run."""

from pathlib import Path

import typer

from segeld import config
from segeld.audit.identity import set_aside
from segeld.jobqueue.sqlite import FILE, restore


def run(backup: Path, file: Path) -> int:
    try:
        loaded = config.load(file)
    except config.ConfigError as error:
        for line in str(error).splitlines():
            typer.echo(f"segeld restore: {file}: {line}", err=True)
        return 3
    database = loaded.state_dir / FILE
    try:
        loaded.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = restore(backup, database)
        # The leaves after the backup are in the old log's files and not in the restored database: that log cannot be
        # continued without contradicting what it promised. The next start begins the new one.
        log = set_aside(loaded.state_dir)
    except OSError as error:
        typer.echo(f"segeld restore: {error}", err=True)
        return 1
    typer.echo(f"{database}: restored from {backup}")
    if aside is not None:
        typer.echo(f"The database that was there is now {aside}")
    typer.echo("A new audit log begins with the next start, linked to the old one, which is kept beside it.")
    typer.echo(f"Its public key, to be written down elsewhere: {log.signer.verifier}")
    return 0
