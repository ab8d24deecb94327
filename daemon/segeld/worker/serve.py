"""The reader: takes requests from both sockets until the front closes its own, then ends the process at once.

The process always ends by `os._exit`: threads may be deep in the module, and unloading a module that is at work
has been seen to crash or to hang.
"""

import argparse
import os
import select
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from segeld.ipc import pin_wire
from segeld.ipc.framing import FrameError
from segeld.ipc.worker_wire import Exit
from segeld.worker import log, sandbox
from segeld.worker.channel import Closed, Control, PinChannel
from segeld.worker.requests import Violation
from segeld.worker.worker import Worker


def main(arguments: Sequence[str]) -> NoReturn:
    """Runs the worker; never returns."""
    control, pin = _descriptors(arguments)
    sandbox.enter(keep=(control, pin))
    threading.excepthook = lambda failed: _crashed(failed.exc_value)
    try:
        _serve(Control(control), PinChannel(pin))
    except Closed:
        os._exit(Exit.DONE)
    except FrameError as error:
        log.say("bad frame", error=str(error))
        os._exit(Exit.BAD_FRAME)
    except Violation as violation:
        log.say("violation", error=str(violation))
        os._exit(violation.code)
    except BaseException as error:  # noqa: BLE001 - a traceback may show what must not be shown
        _crashed(error)


def _serve(control: Control, pin: PinChannel) -> NoReturn:
    worker = Worker(control.send, pin.send)
    threading.Thread(target=_watch, args=(control.fileno(),), name="watch", daemon=True).start()
    poll = select.poll()
    poll.register(control.fileno(), select.POLLIN)
    poll.register(pin.fileno(), select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        # Secrets are sent before the request that is for them. poll(2) looks at the control socket first, so whatever
        # was sent before a request that is there now is there too.
        if pin.fileno() in ready and not _hear_pin(worker, pin):
            poll.unregister(pin.fileno())
        if control.fileno() in ready:
            for request in control.requests():
                worker.answer(request)


def _hear_pin(worker: Worker, pin: PinChannel) -> bool:
    """Takes what was sent there. False when the socket was closed: no PIN comes any more."""
    try:
        for frame in pin.frames():
            if isinstance(frame, pin_wire.Secrets):
                worker.hear_secrets(frame)
            else:
                worker.hear_keeper(frame)
    except Closed:
        worker.lose_keeper()
        return False
    except ValueError:
        raise Violation(Exit.BAD_FRAME, "a PIN that is no short binary string") from None
    return True


def _watch(control: int) -> None:
    """Ends the process when the front is gone, even while the reader is inside the module, which may never return."""
    poll = select.poll()
    poll.register(control, select.POLLRDHUP)
    poll.poll()
    os._exit(Exit.DONE)


def _crashed(error: BaseException | None) -> NoReturn:
    if isinstance(error, Closed):
        os._exit(Exit.DONE)
    if error is not None:
        log.say("worker crashed", error=type(error).__name__, where=log.place(error))
    os._exit(Exit.CRASHED)


def _descriptors(arguments: Sequence[str]) -> tuple[int, int]:
    parser = argparse.ArgumentParser(
        prog="python -m segeld.worker",
        description="Signs with one token. Started by segeld, not by hand.",
        exit_on_error=False,
    )
    parser.add_argument("--control", type=int, required=True, metavar="FD")
    parser.add_argument("--pin", type=int, required=True, metavar="FD")
    try:
        given = parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        parser.print_usage(sys.stderr)
        raise SystemExit(Exit.USAGE) from error
    except SystemExit as end:
        raise SystemExit(Exit.USAGE if end.code else Exit.DONE) from None
    return given.control, given.pin
