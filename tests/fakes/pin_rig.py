"""One SoftHSM2 token behind a module that counts logins and locks, and all of the daemon that touches it."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from token_daemon import CARD, PATIENT, TIMEOUT, Serving, daemon, settings

from segel_cards import PinModule
from segel_softhsm import Testbed
from segeld.config.schema import PinFile, Token
from segeld.model.names import TokenName

WORKERS = 4


class Rig:
    """One token of a module that locks, the state folder and the PIN file of a daemon."""

    def __init__(self, folder: Path, testbed: Testbed, label: str = "segel-a") -> None:
        self.module = PinModule(folder, testbed.module)
        self.pin = testbed.token(label).read_pin()
        self.pin_file = folder / "pin"
        self.put("000000")
        self.state_dir = folder / "daemon"
        self.state_dir.mkdir()
        self.serving = Serving()
        self._environment = {**testbed.environment, **self.module.environment}
        self._label = label

    def put(self, pin: str) -> None:
        self.pin_file.write_text(pin)
        self.pin_file.chmod(0o600)

    def token(self, **options) -> Token:
        options = {"workers": WORKERS, "pin": PinFile(self.pin_file), "timeouts": PATIENT, **options}
        if "serial" not in options:
            options["label"] = self._label
        return Token("card", **options)

    def daemon(self, *, last: TokenName | None = None, names: dict[str, Token] | None = None, **options):
        """:param names: the tokens; without them `card`, with these options."""
        tokens = names or {"card": self.token(**options)}
        config = settings(self.module.path, self._environment, self.state_dir, tokens)
        return daemon(config, self.serving, last=last)


async def all_ready(supervisor, workers: int = WORKERS) -> None:
    """SoftHSM2 loses a token whose worker is ended while it writes down a login."""
    token = supervisor._tokens[CARD]
    ready = lambda: token.record().workers_ready == workers  # noqa: E731
    await asyncio.wait_for(token.news.until(ready), TIMEOUT)


@asynccontextmanager
async def hanging(rig: Rig):
    """Every C_Login is counted, and then waits."""
    rig.module.hang()
    try:
        yield
    finally:
        rig.module.go_on()
