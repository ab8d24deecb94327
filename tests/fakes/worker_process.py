"""One real worker over real sockets: the front's and the keeper's side of it."""

import socket
import subprocess
import sys
from typing import Protocol

from segeld.ipc import framing, pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.deadline import Deadline
from segeld.model.names import KeyName
from segeld.model.secret import Pin

PIN = b"1234"
PATIENCE = 30.0
"""Seconds for any one answer."""


class Box(Protocol):
    """Tokens, and how a process sees them."""

    module: str
    environment: dict[str, str]


class WorkerProcess:
    """The front's and the keeper's side of one worker."""

    def __init__(
        self, box: Box, module: str | None = None, *, keep: tuple[int, ...] = (), **environment: str
    ) -> None:
        self.module = module or box.module
        self.control, control = socket.socketpair()
        self.pin, pin = socket.socketpair()
        self.process = subprocess.Popen(
            (
                *(sys.executable, "-m", "segeld.worker"),
                *("--control", str(control.fileno()), "--pin", str(pin.fileno())),
            ),
            pass_fds=(control.fileno(), pin.fileno(), *keep),
            env={**box.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        control.close()
        pin.close()
        for end in (self.control, self.pin):
            end.settimeout(PATIENCE)
        self._frames = framing.FrameReader()
        self._pin_frames = framing.FrameReader()
        self._said: list[pin_wire.FromWorker] = []
        self._answers: list[wire.AnyAnswer] = []
        self._number = 0

    def number(self) -> int:
        self._number += 1
        return self._number

    def tell(self, request: wire.Request) -> None:
        self.control.sendall(framing.encode(request))

    def hear(self) -> wire.AnyAnswer:
        while not self._answers:
            data = self.control.recv(1 << 18)
            if not data:
                raise EOFError
            self._answers += [framing.decode(wire.ANSWERS, frame) for frame in self._frames.feed(data)]
        return self._answers.pop(0)

    def ask(self, request: wire.Request) -> wire.AnyAnswer:
        self.tell(request)
        answer = self.hear()
        assert answer.id == request.id
        return answer

    def load(self) -> wire.AnyAnswer:
        return self.ask(wire.Load(self.number(), self.module))

    def open(self, label: str, sessions: int = 1) -> wire.AnyAnswer:
        return self.ask(wire.OpenToken(self.number(), label, None, sessions))

    def login(
        self, pin: bytes = PIN, *, by_officer: bool = False, open_attempt: bool = False
    ) -> pin_wire.LoginEnded:
        self.send_login(pin, by_officer=by_officer, open_attempt=open_attempt)
        return self.hear_login()

    def send_login(self, pin: bytes = PIN, *, by_officer: bool = False, open_attempt: bool = False) -> None:
        field, _ = pin_wire.wrap(Pin(pin))
        self.pin.sendall(framing.encode(pin_wire.Login(field, by_officer, open_attempt)))

    def type_on_pad(self) -> None:
        self.pin.sendall(framing.encode(pin_wire.PadLogin()))

    def deny(self) -> None:
        self.pin.sendall(framing.encode(pin_wire.Denied()))

    def hear_keeper_side(self) -> pin_wire.FromWorker:
        while not self._said:
            data = self.pin.recv(4096)
            if not data:
                raise EOFError
            self._said += [
                framing.decode(pin_wire.FROM_WORKER, frame) for frame in self._pin_frames.feed(data)
            ]
        return self._said.pop(0)

    def hear_login(self) -> pin_wire.LoginEnded:
        ended = self.hear_keeper_side()
        assert isinstance(ended, pin_wire.LoginEnded)
        return ended

    def hear_reaffirm(self) -> None:
        assert isinstance(self.hear_keeper_side(), pin_wire.Reaffirm)

    def find(self, *public_keys: bytes, alone: bool = True) -> tuple[wire.FoundKey, ...]:
        found = self.ask(wire.FindKeys(self.number(), public_keys, alone))
        assert isinstance(found, wire.KeysFound), found
        return found.keys

    def activate(self, label: str, sessions: int = 1, pin: bytes = PIN) -> tuple[wire.FoundKey, ...]:
        assert isinstance(self.load(), wire.Loaded)
        opened = self.open(label, sessions)
        assert isinstance(opened, wire.TokenOpened), opened
        assert self.login(pin).outcome is pin_wire.LoginOutcome.OK
        return self.find()

    def sign_request(
        self,
        public_key: bytes | None,
        algorithm: Algorithm,
        inputs: tuple[bytes, ...],
        *,
        encoding: EcdsaEncoding = EcdsaEncoding.DER,
        urgent: bool = False,
        deadline: int | None = None,
    ) -> wire.Sign:
        assert public_key is not None
        at = Deadline.after(PATIENCE).at if deadline is None else deadline
        fingerprint = KeyName.of(public_key).fingerprint
        return wire.Sign(
            self.number(), fingerprint, algorithm.number, encoding, urgent, (at,) * len(inputs), inputs
        )

    def ended(self) -> tuple[int, str, str]:
        """Waits for its end: exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out.decode(), err.decode()

    def close(self) -> None:
        self.control.close()
        self.pin.close()
        try:
            self.process.communicate(timeout=5)
        except (subprocess.TimeoutExpired, ValueError):
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
