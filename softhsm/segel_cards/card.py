"""A card in a reader, as tests use it: a context manager."""

import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from segel_cards import modules, namespaces
from segel_cards.control import Control
from segel_cards.errors import CardError
from segel_cards.layout import Runtime
from segel_cards.memory import CARD_NAME, PIN, PUK, SLOTS, Memory
from segel_cards.modules import OPENSC, Flavour

_SOURCE_ROOT: Final = Path(__file__).resolve().parent.parent
_START_SECONDS: Final = 30.0
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_RUNNING: Final = "control"
"""In the card's folder, a link to the control socket of its rig."""


class Card:
    """A virtual PIV card and its reader while the `with` statement lasts.

    `folder` keeps the card: the next rig of the same folder has the same keys, the same PIN, and the same number of
    tries left.
    """

    def __init__(self, folder: Path, flavour: Flavour = OPENSC) -> None:
        self.folder: Final = folder
        self.flavour: Final = flavour
        self.pin: Final = PIN
        self.puk: Final = PUK

    @property
    def module(self) -> Path:
        return self.flavour.module

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see this reader and no other."""
        return {"PCSCLITE_CSOCK_NAME": str(self._runtime.pcscd_socket)}

    @property
    def label(self) -> str:
        """The token's label."""
        return f"YubiKey PIV #{self._number}" if self.flavour.yubikey else CARD_NAME

    @property
    def serial(self) -> str:
        """The token's serial number, as the module shows it."""
        return str(self._number) if self.flavour.yubikey else self._guid.hex()[-16:]

    @property
    def control(self) -> Control:
        return Control(self._runtime.control)

    @property
    def variables(self) -> dict[str, str]:
        """The environment, and what a shell wants to know besides."""
        known = {"MODULE": str(self.module), "LABEL": self.label, "SERIAL": self.serial, "PIN": self.pin}
        return {**self.environment, **known}

    @classmethod
    def control_of(cls, folder: Path) -> Control:
        """Of a rig that another process has started.

        :raises CardError: if there is none.
        """
        try:
            return Control((folder / _RUNNING).readlink())
        except OSError:
            raise CardError(f"no card runs from {folder}") from None

    def run(self, command: Sequence[str]) -> int:
        """Runs a command that sees the card; its exit code."""
        return subprocess.run(command, env={**os.environ, **self.variables}, check=False).returncode

    def wait(self) -> None:
        """Until standard input closes, or the rig ends."""
        assert self._process.stdout is not None
        select.select([sys.stdin, self._process.stdout], [], [])

    def start(self) -> None:
        """:raises NamespacesRefused: if the machine does not allow it.
        :raises CardError: if something is missing or does not start.
        """
        if shutil.which("pcscd", path=_PATH) is None:
            raise CardError("pcscd is not installed: apt install pcscd (or softhsm/system-packages test)")
        modules.vpcd_driver()
        self.flavour.module  # noqa: B018 - raises if it is missing
        command = namespaces.prefix()
        self.folder.mkdir(parents=True, exist_ok=True)
        memory = Memory.open(self.folder, SLOTS).memory
        self._number, self._guid = memory.number, memory.guid
        self._runtime = Runtime(Path(tempfile.mkdtemp(prefix="segel-card-")))
        self._process = subprocess.Popen(
            [
                *command,
                *(sys.executable, "-P", "-m", "segel_cards._rig"),
                *(str(self._runtime.folder), str(self.folder.absolute()), self.flavour.name),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": _PATH, "PYTHONPATH": str(_SOURCE_ROOT), "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        self._wait_ready()

    def stop(self) -> None:
        """Ends the rig, and waits for it. The card stays in its folder."""
        self._process.communicate(timeout=_START_SECONDS)
        (self.folder / _RUNNING).unlink(missing_ok=True)
        shutil.rmtree(self._runtime.folder, ignore_errors=True)

    def _wait_ready(self) -> None:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], _START_SECONDS)
        if readable and self._process.stdout.readline() == b"ready\n":
            (self.folder / _RUNNING).unlink(missing_ok=True)
            (self.folder / _RUNNING).symlink_to(self._runtime.control)
            return
        self._process.kill()
        _, said = self._process.communicate()
        shutil.rmtree(self._runtime.folder, ignore_errors=True)
        raise CardError(f"the card's rig did not start: {said.decode(errors='replace').strip()}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
