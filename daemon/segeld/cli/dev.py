"""`segeld dev`: a daemon for anybody, on throw-away tokens, that ends with the process that started it."""

import asyncio
import fcntl
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer

from segeld import config, logs
from segeld.app import Endpoints, serve
from segeld.cli.dev_files import DevSetup, write_files
from segeld.cli.running import run_daemon, stop_on_signals
from segeld.config.schema import Module
from segeld.supervisor.survey import survey_module

_PARENT: Final = "SEGEL_DEV_PARENT"
"""Set in a background daemon's environment: the process whose end it ends with."""


def run(
    directory: Path | None,
    *,
    fresh: bool,
    workers: int,
    prompt: tuple[str, ...],
    keys: tuple[str, ...],
    module: Path | None,
    background: bool,
    as_json: bool,
) -> int:
    for package in ("certomancer", "segel_softhsm"):  # the extra may be missing
        if find_spec(package) is None:
            typer.echo(f"segeld dev: {package} is missing. Run: pip install 'segeld[dev]'", err=True)
            return 1
    if module is not None:
        os.environ["SOFTHSM2_MODULE"] = str(module.absolute())
    if background:
        return _start_background(as_json=as_json)
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="segel-dev-")))
        return _run_here(
            stack, directory, fresh=fresh, workers=workers, prompt=prompt, keys=keys, as_json=as_json
        )


def _run_here(
    stack: ExitStack,
    directory: Path,
    *,
    fresh: bool,
    workers: int,
    prompt: tuple[str, ...],
    keys: tuple[str, ...],
    as_json: bool,
) -> int:
    from segel_softhsm import KINDS, TestbedError, find_module, layout, provision

    kinds = [kind for kind in KINDS if kind in keys]
    if len(kinds) != len(keys):
        typer.echo(f"segeld dev: --keys takes some of {','.join(KINDS)}", err=True)
        return 2
    try:
        asyncio.run(_require_softhsm2(find_module()))
        marker = directory.absolute() / layout.MARKER
        if made_before := marker.exists():
            stack.enter_context(_alone_with(marker))
        testbed = provision(directory.absolute(), fresh=fresh, kinds=kinds or None)
        if not made_before:
            stack.enter_context(_alone_with(marker))
    except (TestbedError, _Refused) as error:
        typer.echo(f"segeld dev: {error}", err=True)
        return 1
    unknown = set(prompt) - {token.label for token in testbed.tokens}
    if unknown:
        typer.echo(f"segeld dev: --prompt {unknown.pop()}: there is no such token", err=True)
        return 2
    setup = write_files(testbed, stack, workers=workers, prompt=prompt)
    loaded = config.load(setup.config)
    logs.configure(loaded.log.level, loaded.log.format)
    return run_daemon(_serve(setup, loaded, as_json=as_json), "segeld dev")


@contextmanager
def _alone_with(marker: Path) -> Iterator[None]:
    """:raises _Refused: if another daemon has this folder's tokens and configuration."""
    descriptor = os.open(marker, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise _Refused(
            f"another `segeld dev` runs on {marker.parent}; end it, or name another --dir"
        ) from None
    finally:
        os.close(descriptor)


async def _require_softhsm2(module: Path) -> None:
    """Asks the module who made it before anything is written to a token: the open policy is for throw-away ones.

    :raises _Refused: if it is another, or cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="segel-") as nothing:
        conf = Path(nothing) / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {nothing}\n")
        answer = await survey_module(Module(path=module, environment={"SOFTHSM2_CONF": str(conf)}))
    if isinstance(answer, str):
        raise _Refused(f"{module}: {answer} dev runs on SoftHSM2 alone.")
    if answer[0].manufacturer != "SoftHSM":
        raise _Refused(
            f"{module} is by {answer[0].manufacturer}: dev runs on SoftHSM2 alone. For other modules: segeld serve"
        )


class _Refused(Exception):
    """Not a module for `segeld dev`."""


async def _serve(setup: DevSetup, loaded: config.Config, *, as_json: bool) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    parent = int(os.environ.get(_PARENT, os.getppid()))
    _stop_with(parent, stop)

    def ready(endpoints: Endpoints) -> None:
        exports = setup.exports(endpoints)
        if as_json:
            typer.echo(json.dumps(exports))
        else:
            for name, value in exports.items():
                typer.echo(f"export {name}={shlex.quote(value)}")
            typer.echo(
                f"# segeld dev is ready: {setup.summary}. It ends with its parent process, or with Ctrl-C."
            )
        sys.stdout.flush()

    await serve(loaded, stop=stop, ready=ready)


def _stop_with(parent: int, stop: asyncio.Event) -> None:
    """Sets `stop` when the parent process ends. A pidfd, because PR_SET_PDEATHSIG follows a thread."""
    if parent <= 1:
        return  # started by an init: nothing to end with
    try:
        descriptor = os.pidfd_open(parent)
    except ProcessLookupError:
        stop.set()
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        stop.set()

    loop.add_reader(descriptor, gone)


def _start_background(*, as_json: bool) -> int:
    """Runs the same command without --background, passes on what it prints until it is ready, and leaves it running."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--background"]
    child = subprocess.Popen(
        [sys.executable, "-m", "segeld", *arguments, *([] if as_json else ["--json"])],
        env={**os.environ, _PARENT: str(os.getppid())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if sys.stderr.isatty() else subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        return child.wait() or 1
    exports = {**json.loads(line), "SEGEL_DEV_PID": str(child.pid)}
    if as_json:
        typer.echo(json.dumps(exports))
    else:
        for name, value in exports.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        typer.echo("# segeld dev is ready. It ends with this shell, or with: kill $SEGEL_DEV_PID")
    return 0
