"""How a command that works on the files of a log alone is run: no connection, and errors of the log as sentences."""

import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from segel.cli.exit_codes import ExitCode, describe
from segel.cli.options import Json
from segel.cli.quick import QuickCommand
from segel.cli.session import Session, run_session

_SHOWN: Final = 5
DEFAULT_FOLDER: Final = Path("/var/lib/segel/audit")

Dir = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="FOLDER",
        help="The log's folder: SEGEL_AUDIT_DIR or /var/lib/segel/audit, if not given.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="VKEY|FILE",
        help="The log's public key, or a file with it, from elsewhere than the log's folder.",
    ),
]
Archives = Annotated[
    list[Path] | None,
    typer.Option(
        "--archive",
        metavar="FOLDER",
        help="A folder with bundles that were archived, to be read as well. Repeatable.",
        show_default=False,
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to write; standard output, if not given."),
]
LOG_CODES: Final = (
    ExitCode.OK,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.NOT_CONNECTED,
    ExitCode.NOT_ALLOWED,
    ExitCode.BAD_SIGNATURE,
    ExitCode.TRY_LATER,
)
"""How commands end that read a log, here or from afar."""
Command = Callable[..., ExitCode]


def folder_of(given: Path | None) -> Path:
    return given or Path(os.environ.get("SEGEL_AUDIT_DIR") or DEFAULT_FOLDER)


def note_unread(session: Session, numbers: Iterable[int]) -> bool:
    """Says which leaves were not searched because they were archived; whether there were any."""
    from segeld.audit.layout import ENTRIES, WIDTH, path

    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    if spans:
        text = ", ".join(
            f"{first * WIDTH} to {last * WIDTH + WIDTH - 1} ({path(ENTRIES, first)}"
            f"{f' to {path(ENTRIES, last)}' if last > first else ''})"
            for first, last in spans[:_SHOWN]
        )
        session.output.note(
            f"leaves {text}{', …' if len(spans) > _SHOWN else ''} may say more, and were not read: they were archived. "
            "Where the log's files are, --archive with the folder that has these reads them too"
        )
    return bool(spans)


def audit_command(group: typer.Typer, name: str, *, epilog: str, codes: tuple[ExitCode, ...]) -> Any:
    """Makes a function a command. Its first parameter is the Session; the others are its own options, and --json."""

    def register(function: Command) -> Command:
        def run(context: typer.Context, json: bool, **given: Any) -> None:
            session = replace(context.obj, json=context.obj.json or json)
            raise typer.Exit(int(run_session(session, _explained(function), given)))

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("context", keyword, annotation=typer.Context),
            *(one.replace(kind=keyword) for one in own),
            inspect.Parameter("json", keyword, annotation=Json, default=False),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__name__, run.__doc__ = name, function.__doc__
        group.command(name, cls=QuickCommand, epilog=f"{epilog}\n\nExit codes:\n{describe(*codes)}")(run)
        return function

    return register


def _explained(function: Command) -> Command:
    """Without an event loop, so that Ctrl-C ends it at once."""

    def run(session: Session, **given: Any) -> ExitCode:
        from segeld.audit.leaf import BadLeaf
        from segeld.audit.proof import BadProof
        from segeld.audit.tiles import Archived, BadFile, LogUnreadable

        try:
            code = function(session, **given)
        except (Archived, LogUnreadable) as error:
            session.output.error(str(error))
            code = ExitCode.FAILED
        except (BadFile, BadLeaf, BadProof) as error:
            session.output.error(f"the log or the proof was changed or damaged: {error}")
            code = ExitCode.BAD_SIGNATURE
        return code

    return run
