"""The options that every command takes, and how a command is run: connected, and with errors as sentences.

    @session_command(app, "whoami", profile="client")
    async def whoami(session: Session) -> ExitCode | None: ...

The options stand at the command itself and before it: `segel --json key list` is `segel key list --json`.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import typer

from segel.cli.exit_codes import ExitCode, describe
from segel.cli.failures import explain
from segel.cli.options import Ca, Cert, Json, Target, TlsKey, show_options
from segel.cli.output import Output

if TYPE_CHECKING:  # gRPC takes longer to load than a help text should take to appear
    from segel import Client, Officer, Settings

Profile = Literal["client", "officer"]


@dataclass(frozen=True)
class Session:
    """What the options said."""

    profile: Profile = "client"
    target: str | None = None
    ca: str | None = None
    cert: str | None = None
    tls_key: str | None = None
    json: bool = False

    @property
    def output(self) -> Output:
        return Output(as_json=self.json)

    def settings(self, signing_key: str | None = None) -> "Settings":
        """Options first, then the environment, then the files."""
        from segel import Settings

        return Settings.load(
            self.target, self.ca, self.cert, self.tls_key, profile=self.profile, signing_key=signing_key
        )

    def client(self, signing_key: str | None = None) -> "Client":
        from segel import Client

        return Client.from_settings(self.settings(signing_key))

    def officer(self) -> "Officer":
        from segel import Officer

        return Officer.from_settings(self.settings())


Command = Callable[..., Awaitable[ExitCode | None]]


def app(profile: Profile, summary: str, epilog: str) -> typer.Typer:
    """The root of a command line, which takes the common options before any command."""
    root = typer.Typer(
        no_args_is_help=True,
        help=summary,
        epilog=f"{epilog}\n\nExit codes:\n{describe()}",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @root.callback()
    def remember(
        context: typer.Context,
        target: Target = None,
        ca: Ca = None,
        cert: Cert = None,
        tls_key: TlsKey = None,
        json: Json = False,
    ) -> None:
        context.obj = Session(profile, target, ca, cert, tls_key, json)

    return root


def session_command(group: typer.Typer, name: str, *, epilog: str, codes: tuple[ExitCode, ...] = ()) -> Any:
    """Makes an async function a command. Its first parameter is the Session; the others are its own options."""

    def register(function: Command) -> Command:
        def run(context: typer.Context, **given: Any) -> None:
            here = {option.name: given.pop(option.name) for option in fields(Session) if option.name in given}
            before: Session = context.obj
            session = replace(before, **{option: value for option, value in here.items() if value})
            raise typer.Exit(int(run_session(session, function, given)))

        run.__name__, run.__doc__ = name, function.__doc__
        show_options(run, list(inspect.signature(function, eval_str=True).parameters.values())[1:])
        shown = f"{epilog}\n\nExit codes:\n{describe(*codes)}" if codes else epilog
        group.command(name, epilog=shown)(run)
        return function

    return register


def run_session(session: Session, function: Command, given: dict[str, Any]) -> ExitCode:
    """Runs a command to its exit code. What nobody expected keeps its traceback."""
    try:
        try:
            code = asyncio.run(_awaited(function(session, **given))) or ExitCode.OK
            sys.stdout.flush()
        except BrokenPipeError:
            # Python would flush once more at the end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.OUTPUT_CLOSED
        except KeyboardInterrupt:
            session.output.error("interrupted")
            return ExitCode.INTERRUPTED
        else:
            return code
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        session.output.error(failure.text)
        return failure.code


async def _awaited(result: Awaitable[ExitCode | None]) -> ExitCode | None:
    return await result
