"""`segeld serve` on a folder of its own, for tests that end it in every way there is."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import warm_segeld
from served_files import WORKERS, config_text, free_ports, policy_text

import segel
from segel_softhsm import Testbed

PATIENCE = 60.0
READY = f'segel_workers_ready{{token="main"}} {WORKERS:.1f}'


class Served:
    """One configuration with one token; its daemon, again and again."""

    def __init__(
        self, folder: Path, bed: Testbed, *, limits: str = "", launcher: tuple[str, ...] = ()
    ) -> None:
        """:param launcher: a command that runs the daemon's."""
        self.folder, self.bed, self.launcher = folder, bed, launcher
        self.state = folder / "state"
        self.log = folder / "log"
        self.key = bed.token("segel-a").key("seal-p256")
        self.port, self.metrics_port = free_ports(2)
        self.config = folder / "segeld.toml"
        self.process: subprocess.Popen[bytes] | None = None
        self._next: list[subprocess.Popen[bytes]] = []
        self._tokens = folder / "tokens"
        self._pristine = bed.directory / "tokens"
        self._restore_tokens()
        conf = folder / "softhsm2.conf"
        conf.write_text(
            f"directories.tokendir = {self._tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        (folder / "policy.toml").write_text(policy_text(bed, self.key.spki_sha256))
        self.config.write_text(config_text(self, conf, limits))

    @property
    def target(self) -> str:
        return f"localhost:{self.port}"

    @property
    def key_name(self) -> str:
        return f"keys/sha256-{self.key.spki_sha256}"

    @property
    def environment(self) -> dict[str, str]:
        """For programs of segel."""
        return {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}

    def tls(self, who: str) -> segel.Tls:
        person = self.bed.pki.identities[who]
        return segel.Tls(ca=self.bed.pki.ca_bundle, cert=person.cert_chain, key=person.key)

    def warm(self, count: int = 1) -> None:
        """Has the next daemons import what they need, so that `start` is soon over."""
        while len(self._next) < count:
            self._next.append(self._run(str(Path(warm_segeld.__file__))))

    def start(self) -> None:
        """Returns at once."""
        self.warm()
        self.process = self._next.pop(0)
        self.process.stdin.write(b"\n")
        self.process.stdin.close()

    def _run(self, *program: str) -> "subprocess.Popen[bytes]":
        """A session of its own: whatever belongs to it can be found."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.launcher, sys.executable, *program, "serve", "--config", str(self.config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                env=self.environment,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None, "it was not started"
        return self.process.pid

    def ended_by_itself(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def metrics(self) -> str:
        """Empty while nothing answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def is_ready(self) -> bool:
        """Whether all workers are: then no login is under way, and a kill does no harm to the token."""
        if self.ended_by_itself():
            raise AssertionError(f"the daemon ended by itself:\n{self.tail()}")
        return READY in self.metrics()

    def wait_ready(self) -> None:
        wait_until(self.is_ready, self.tail)

    def kill(self) -> None:
        """Returns when all of it is gone. Whatever became of the token in a login is undone."""
        self.process.kill()
        self.process.wait()
        self.settle()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self.settle()
        return code

    def settle(self) -> None:
        wait_until(lambda: not self.processes(), lambda: f"left behind: {self.processes()}")
        self._restore_tokens()

    def end(self) -> None:
        while self._next:
            spare = self._next.pop()
            spare.kill()
            spare.communicate()
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def processes(self) -> dict[int, str]:
        """What lives in its session, by title."""
        return dict(_session(self.pid))

    def children(self, title: str) -> list[int]:
        return [pid for pid, name in self.processes().items() if name.startswith(title)]

    def tail(self, octets: int = 6000) -> str:
        text = self.log.read_bytes()[-octets:] if self.log.exists() else b""
        return text.decode(errors="replace")

    def _restore_tokens(self) -> None:
        shutil.rmtree(self._tokens, ignore_errors=True)
        shutil.copytree(self._pristine, self._tokens)


def wait_until(
    holds: Callable[[], bool], explain: Callable[[], str] = str, patience: float = PATIENCE
) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"it took too long; {explain()}"
        time.sleep(0.01)


def _session(session: int) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                yield int(entry.name), (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
