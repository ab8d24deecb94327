"""`segeld`: one file for each subcommand, imported when it is asked for, so that `--help` is quick."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from segeld import __version__
from segeld.cli.imports import quickly

EXIT_CODES: Final = (
    "Exit codes: 0 ended as asked; 1 failed while running; 2 wrong usage; 3 the configuration has faults."
)

app: Final = typer.Typer(
    name="segeld",
    help="Signing daemon for keys that stay in PKCS#11 hardware.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"segeld {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version


@app.command(epilog="Example: segeld serve --config /etc/segel/segeld.toml")
def serve(
    config: Annotated[Path, typer.Option(help="The configuration file.")] = Path("/etc/segel/segeld.toml"),
) -> None:
    """Run the daemon until SIGTERM or SIGINT; what is in flight is finished first."""
    with quickly():
        from segeld.cli.serve import run

    raise typer.Exit(run(config))


@app.command("check-config", epilog="Example: segeld check-config /etc/segel/segeld.toml")
def check_config(
    file: Annotated[Path, typer.Argument(help="The configuration file.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not load the modules to look for tokens.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print a JSON list of faults.")] = False,
) -> None:
    """Name every fault of a configuration with its key. Starts no daemon and spends no PIN try."""
    with quickly():
        from segeld.cli.check_config import run

    raise typer.Exit(run(file, offline=offline, as_json=json_output))


@app.command(epilog="Example: segeld probe /usr/lib/softhsm/libsofthsm2.so")
def probe(
    module: Annotated[Path, typer.Argument(help="The vendor's PKCS#11 library.")],
    reserved: Annotated[
        str | None, typer.Option(help="A string for C_Initialize's pReserved, if the module wants one.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a module's slots, tokens, mechanisms and locking, and a configuration block to paste."""
    with quickly():
        from segeld.cli.probe import run

    raise typer.Exit(run(module, reserved=reserved, as_json=json_output))


@app.command(epilog="Example: segeld backup /var/backups/segel-2026-11-24.db --config /etc/segel/segeld.toml")
def backup(
    file: Annotated[Path, typer.Argument(help="The copy. It must not be there yet.")],
    config: Annotated[Path, typer.Option(help="The configuration file.")] = Path("/etc/segel/segeld.toml"),
) -> None:
    """Copy the database (jobs, results, answers) to a file and check the copy. The daemon may run."""
    with quickly():
        from segeld.cli.backup import run

    raise typer.Exit(run(file, config))


@app.command(
    epilog="Example: segeld restore /var/backups/segel-2026-11-24.db --config /etc/segel/segeld.toml"
)
def restore(
    file: Annotated[Path, typer.Argument(help="A copy that `segeld backup` made.")],
    config: Annotated[Path, typer.Option(help="The configuration file.")] = Path("/etc/segel/segeld.toml"),
) -> None:
    """Put a backup in the database's place; the old database is kept aside. The daemon must not run."""
    with quickly():
        from segeld.cli.restore import run

    raise typer.Exit(run(file, config))


@app.command(epilog='Example: eval "$(segeld dev --background)"; segel whoami; kill $SEGEL_DEV_PID')
def dev(
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Keep tokens and test PKI here; a temporary folder if not given."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away what --dir holds and start over.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Workers for each token.")] = 2,
    prompt: Annotated[
        list[str] | None, typer.Option(metavar="TOKEN", help="Leave this token waiting for its PIN.")
    ] = None,
    keys: Annotated[
        str, typer.Option(metavar="KIND,…", help="Keys of segel-a: rsa2048, rsa3072, p256, p384, ed25519.")
    ] = "",
    module: Annotated[
        Path | None,
        typer.Option(help="Where SoftHSM2 is, if not in its usual places. No other module is taken."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Print the exports and go on in the background.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object when ready.")] = False,
) -> None:
    """Run a daemon on throw-away SoftHSM2 tokens with a test PKI and an open policy, on loopback.

    Prints `export SEGEL_…` lines and a ready line, and ends with the process that started it.
    """
    with quickly():
        from segeld.cli.dev import run

    raise typer.Exit(
        run(
            directory,
            fresh=fresh,
            workers=workers,
            prompt=tuple(prompt or ()),
            keys=tuple(kind for kind in keys.split(",") if kind),
            module=module,
            background=background,
            as_json=json_output,
        )
    )


def main() -> int:
    # Before anything imports grpc: children are exec'd, and its fork handlers break them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its lines are no JSON, and may hold what is sent
    try:
        app()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return 0
