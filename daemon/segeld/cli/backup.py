"""`segeld backup FILE`: a copy of the database while the daemon runs."""

from pathlib import Path

import typer

from segeld import config
from segeld.jobqueue.sqlite import FILE, back_up


def run(target: Path, file: Path) -> int:
    try:
        loaded = config.load(file)
    except config.ConfigError as error:
        for line in str(error).splitlines():
            typer.echo(f"segeld backup: {file}: {line}", err=True)
        return 3
    if not target.parent.is_dir():
        typer.echo(f"segeld backup: there is no folder {target.parent}; nothing was copied", err=True)
        return 1
    try:
        octets = back_up(loaded.state_dir / FILE, target)
    except OSError as error:
        typer.echo(f"segeld backup: {error}", err=True)
        return 1
    typer.echo(f"{target}: {octets / 1e6:,.1f} MB, checked")
    return 0
