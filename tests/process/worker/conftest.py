"""A real worker over real sockets, and throw-away SoftHSM2 tokens, each made by the command line tools."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segel_softhsm import find_module
from segeld.ipc import framing, pin_wire
from segeld.ipc import worker_wire as wire
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.deadline import Deadline
from segeld.model.names import KeyName
from segeld.model.secret import Pin

PIN = b"1234"
PATIENCE = 30.0
"""Seconds for any one answer."""


@pytest.fixture(scope="session")
def module() -> str:
    return str(find_module())


class TokenBox:
    """A folder of SoftHSM2 tokens."""

    def __init__(self, folder: Path, module: str) -> None:
        self.module = module
        self.folder = folder
        (folder / "tokens").mkdir()
        conf = folder / "softhsm2.conf"
        conf.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.environment = {**os.environ, "SOFTHSM2_CONF": str(conf)}

    def token(self, label: str) -> None:
        self._run(
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            PIN.decode(),
            "--so-pin",
            "5678",
        )

    def keypair(self, token: str, kind: str, cka_id: str, label: str = "key") -> None:
        self.tool(token, "--keypairgen", "--key-type", kind, "--id", cka_id, "--label", label)

    def remove_public(self, token: str, cka_id: str) -> None:
        self.tool(token, "--delete-object", "--type", "pubkey", "--id", cka_id)

    def import_object(self, token: str, what: str, path: Path, cka_id: str, label: str = "key") -> None:
        self.tool(token, "--write-object", str(path), "--type", what, "--id", cka_id, "--label", label)

    def tool(self, token: str, *arguments: str) -> None:
        self._run(
            *("pkcs11-tool", "--module", self.module, "--token-label", token),
            *("--login", "--pin", PIN.decode(), *arguments),
        )

    def python(self, script: str, *arguments: str) -> None:
        """Runs a script in a child, for what the tools cannot do: no test process ever loads a module."""
        self._run(sys.executable, "-c", script, *arguments)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, module: str) -> TokenBox:
    return TokenBox(tmp_path_factory.mktemp("softhsm"), module)


@pytest.fixture(scope="session")
def odd_module(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The module of odd_module.c, which misbehaves as the variable ODD says."""
    built = tmp_path_factory.mktemp("odd") / "odd_module.so"
    source = Path(__file__).with_name("odd_module.c")
    subprocess.run(("cc", "-shared", "-fPIC", "-o", built, source), check=True, timeout=60)
    return str(built)


class WorkerProcess:
    """The front's and the keeper's side of one worker."""

    def __init__(
        self, box: TokenBox, module: str | None = None, *, keep: tuple[int, ...] = (), **environment: str
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

    def hear_login(self) -> pin_wire.LoginEnded:
        frames = framing.FrameReader()
        while True:
            data = self.pin.recv(4096)
            if not data:
                raise EOFError
            for frame in frames.feed(data):
                return framing.decode(pin_wire.LOGIN_ENDED, frame)

    def find(self, *public_keys: bytes) -> tuple[wire.FoundKey, ...]:
        found = self.ask(wire.FindKeys(self.number(), public_keys))
        assert isinstance(found, wire.KeysFound), found
        return found.keys

    def activate(self, label: str, sessions: int = 1) -> tuple[wire.FoundKey, ...]:
        assert isinstance(self.load(), wire.Loaded)
        opened = self.open(label, sessions)
        assert isinstance(opened, wire.TokenOpened), opened
        assert self.login().outcome is pin_wire.LoginOutcome.OK
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


Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(box: TokenBox) -> Iterator[Start]:
    started: list[WorkerProcess] = []

    def begin(module: str | None = None, *, keep: tuple[int, ...] = (), **environment: str) -> WorkerProcess:
        started.append(WorkerProcess(box, module, keep=keep, **environment))
        return started[-1]

    yield begin
    for worker in started:
        worker.close()


@pytest.fixture
def start_odd(start: Start, odd_module: str, module: str) -> Start:
    """Starts a worker whose module does what the words say."""
    return lambda words: start(odd_module, ODD=words, ODD_MODULE=module)


@pytest.fixture
def worker(start: Start) -> WorkerProcess:
    return start()
