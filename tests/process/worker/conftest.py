"""A real worker over real sockets, and throw-away SoftHSM2 tokens, each made by the command line tools."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from worker_process import PIN, WorkerProcess

from segel_softhsm import find_module


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
