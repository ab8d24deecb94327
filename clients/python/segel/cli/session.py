"""The options that every command takes, and how a command is run: connected, and with errors as sentences.

    @session_command(app, "whoami", profile="client")
    async def whoami(session: Session) -> ExitCode | None: ...

The options stand at the command itself and before it: `segel --json key list` is `segel key list --json`.
"""

import inspect
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from segel.cli.asking import AskedSigner, Asking
from segel.cli.beginnings import whole_key
from segel.cli.exit_codes import ExitCode, describe
from segel.cli.failures import OutputFailed, UsageError, explain
from segel.cli.options import Ca, Cert, Json, Target, TlsKey, show_options
from segel.cli.output import Output
from segel.cli.quick import QuickCommand, group_of

if TYPE_CHECKING:  # gRPC takes longer to load than a help text should take to appear
    from segel import Client, Officer, Settings

Profile = Literal["client", "officer"]

_WORDS: Final = {
    "target": "--target",
    "ca": "--ca",
    "cert": "--cert",
    "key": "--tls-key",
    "signing_key": "--key",
}
"""What the settings are called here."""
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


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

        settings = Settings.load(
            self.target,
            self.ca,
            self.cert,
            self.tls_key,
            profile=self.profile,
            signing_key=signing_key,
            words=_WORDS,
        )
        return (
            settings
            if settings.signing_key is None
            else replace(settings, signing_key=full_key_name(settings.signing_key))
        )

    def client(self) -> "Client":
        from segel import Client

        return Client.from_settings(self.settings())

    @asynccontextmanager
    async def client_and_key(self, key: str | None) -> AsyncIterator[tuple["Client", str]]:
        """A client, and the name of `key` or of the key in the settings.

        :raises UsageError: if there is none.
        """
        from segel import Client

        settings = self.settings(key)
        if settings.signing_key is None:
            raise UsageError(
                "there is no key to sign with: give --key, set SEGEL_KEY, or put signing_key in client.toml; "
                "`segel key list` shows the keys"
            )
        async with Client.from_settings(settings) as client:
            yield client, await whole_key(settings.signing_key, client.keys)

    @asynccontextmanager
    async def signer(self, key: str | None, **how: Any) -> AsyncIterator[AskedSigner]:
        """A signer of `key`, or of the key in the settings.

        :raises UsageError: if there is none.
        """
        async with self.client_and_key(key) as (client, asked):
            asking = Asking(self.output, asked)
            with asking.daemon():
                signer = await client.signer(asked, **how)
            yield AskedSigner(signer, asking)

    def officer(self) -> "Officer":
        from segel import Officer

        return Officer.from_settings(self.settings())


def full_key_name(name: str) -> str:
    return name if name.startswith("keys/") else f"keys/{name}"


Command = Callable[..., Awaitable[ExitCode | None]]


def app(
    profile: Profile, summary: str, epilog: str, package: str, parts: Mapping[str, str] | None = None
) -> typer.Typer:
    """The root of a command line, which takes the common options before any command.

    :param package: whose version `--version` says.
    :param parts: modules by the name of what each holds; imported when that is asked for (`quick`).
    """
    root = typer.Typer(
        cls=group_of(parts or {}),
        no_args_is_help=True,
        help=summary,
        epilog=f"{epilog}\n\nExit codes:\n{describe()}",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def say(context: typer.Context, wanted: bool) -> None:
        if wanted:
            from importlib import metadata

            typer.echo(f"{context.info_name} {metadata.version(package)}")
            raise typer.Exit

    @root.callback()
    def remember(
        context: typer.Context,
        target: Target = None,
        ca: Ca = None,
        cert: Cert = None,
        tls_key: TlsKey = None,
        json: Json = False,
        version: Annotated[  # noqa: ARG001  # its callback ends it all
            bool, typer.Option("--version", callback=say, is_eager=True, help="Show the version and exit.")
        ] = False,
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
        group.command(name, cls=QuickCommand, epilog=shown)(run)
        return function

    return register


_ran = False


def start(root: typer.Typer) -> None:
    """Runs a command line as a process: with whole standard streams, and ended in good order by signals."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it logs, errors say in our words
    _open_standard_streams()
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(number, _end)
    output = os.dup(1)
    try:
        root()
    except SystemExit as end:
        if end.code == 1 and not _ran and _nobody_reads(output):
            raise SystemExit(int(ExitCode.OUTPUT_CLOSED)) from None  # of a help text
        raise


class _Ended(KeyboardInterrupt):
    """As Ctrl-C, but by a signal that asks for an end."""


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def _open_standard_streams() -> None:
    """Closed ones are opened in a way that fails, lest a file or a connection gets their numbers."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _nobody_reads(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def run_session(
    session: Session, function: Command | Callable[..., ExitCode], given: dict[str, Any]
) -> ExitCode:
    """Runs a command to its exit code, in an event loop if it is to be awaited. What nobody expected keeps its traceback."""
    global _ran  # noqa: PLW0603  # there is one command in a process
    _ran = True
    try:
        try:
            done = function(session, **given)
            code = done if isinstance(done, ExitCode) else _awaited(done)
            session.output.flush()
        except BrokenPipeError:
            _drop_output()
            return ExitCode.OUTPUT_CLOSED
        except _Ended:
            session.output.error("ended by a signal")
            return ExitCode.TERMINATED
        except KeyboardInterrupt:
            session.output.error("interrupted")
            return ExitCode.INTERRUPTED
        else:
            return code
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        if isinstance(error, OutputFailed):
            _drop_output()
        session.output.error(failure.text)
        return failure.code


def _drop_output() -> None:
    """Python would flush once more at the end, and complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _awaited(result: Awaitable[ExitCode | None]) -> ExitCode:
    import asyncio

    return asyncio.run(_until_ended(result)) or ExitCode.OK


async def _until_ended(result: Awaitable[ExitCode | None]) -> ExitCode | None:
    """:raises _Ended: if a signal asked for it; what runs has cleaned up by then."""
    import asyncio

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True
        task.cancel()

    for number in _ENDING:
        if signal.getsignal(number) is _end:
            loop.add_signal_handler(number, end)
    try:
        return await result
    except asyncio.CancelledError:
        if ended:
            raise _Ended from None
        raise
