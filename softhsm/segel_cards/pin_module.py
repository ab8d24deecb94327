"""A PKCS#11 module that counts logins, locks a PIN after three wrong ones, can have a PIN pad, and fails on demand.

For tests. It stands in front of SoftHSM2, which does none of this. Nothing but a C compiler is needed.
"""

import subprocess
from pathlib import Path
from typing import Final

from segel_cards.errors import CardError

_SOURCE: Final = Path(__file__).with_name("pin_module.c")


class PinModule:
    """The module, built into `folder`, and what it remembers there."""

    def __init__(self, folder: Path, behind: Path) -> None:
        """:param behind: the module that does the rest.
        :raises CardError: if it cannot be built.
        """
        self.path: Final = folder / "pin_module.so"
        self._state: Final = folder / "state"
        self._behind: Final = behind
        self._state.mkdir(parents=True, exist_ok=True)
        built = subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", str(self.path), str(_SOURCE)],
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            raise CardError(f"the module cannot be built: {built.stderr.strip()}")

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs that loads it."""
        return {"PIN_MODULE_STATE": str(self._state), "PIN_MODULE_BEHIND": str(self._behind)}

    @property
    def logins(self) -> list[str]:
        """Every C_Login that was ever called, also by processes that died in it: `user`, `user pad`, `context`, `so`."""
        path = self._state / "logins"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def wrong_pins(self) -> int:
        """Since the last right one: the PIN is locked at three."""
        path = self._state / "wrong"
        return path.stat().st_size if path.exists() else 0

    @property
    def wrong_so_pins(self) -> int:
        """Likewise, of the SO PIN."""
        path = self._state / "so-wrong"
        return path.stat().st_size if path.exists() else 0

    @property
    def calls(self) -> list[str]:
        """Every call of a function that `fail` knows."""
        path = self._state / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def fail(self, function: str, how: int | str, *, after: int = 0, always: bool = False) -> None:
        """What a call of C_InitToken, C_InitPIN, C_SetPIN, C_CreateObject, C_DestroyObject, C_FindObjectsInit or
        C_GenerateKeyPair does.

        :param how: the CKR that it answers, when nothing is done; `dies`: its process ends before anything is done; `done`:
            it ends after it was done; `hangs`.
        :param after: how many calls go well before.
        :param always: every such call from then on, and not one alone.
        """
        self._state.joinpath(function).write_text(f"{how} {after} {'!' if always else '.'}\n")

    def mend(self) -> None:
        """Nothing fails any more."""
        for path in self._state.glob("C_*"):
            path.unlink()

    def unlock(self) -> None:
        for name in ("wrong", "so-wrong"):
            (self._state / name).unlink(missing_ok=True)

    def hang(self) -> None:
        """From now on every C_Login is counted and then waits, until `go_on`."""
        (self._state / "hang").touch()

    def go_on(self) -> None:
        (self._state / "hang").unlink(missing_ok=True)

    def have_pad(self) -> None:
        """From now on the token says that its PIN is typed at the reader."""
        (self._state / "pad").touch()

    def type_pin(self, pin: str) -> None:
        """What a person does at the pad: the C_Login that waits, or the next, takes it."""
        new = self._state / "typing"
        new.write_text(pin)
        new.replace(self._state / "typed")

    def cancel(self) -> None:
        self.type_pin("cancel")
