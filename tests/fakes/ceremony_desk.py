"""A supervisor's officers' side on SoftHSM2, or on a module that stands in front of it."""

import asyncio
import datetime as dt
from contextlib import asynccontextmanager
from pathlib import Path

from acts_fake import acts
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from segel_cards import PinModule
from segel_softhsm import find_module
from segeld.config.schema import Config, Listen, Module, PinPrompt, Timeouts, Tls, Token
from segeld.model.names import TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.supervisor.supervisor import Supervisor

TIMEOUT = 60
SEAL = TokenName("seal")
SO_PIN, PIN, NEW_PIN, WRONG = b"so-87654321", b"123456", b"654321-new", b"000000"


class Served:
    def __init__(self) -> None:
        self.workers: set = set()

    async def serve(self, _, worker) -> None:
        self.workers.add(worker)
        await worker.leaving.wait()
        self.workers.discard(worker)


class Desk:
    """A folder of SoftHSM2 with nothing in it, and who serves it."""

    def __init__(self, folder: Path, *, faulty: bool = False) -> None:
        """:param faulty: its module locks, and fails on demand: `module`."""
        (folder / "tokens").mkdir()
        (folder / "state").mkdir()
        conf = folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        self.folder, self.environment, self.pin_file = folder, {"SOFTHSM2_CONF": str(conf)}, folder / "pin"
        self.path, self.acts = find_module(), acts()
        if faulty:
            (folder / "module").mkdir()
            self.module = PinModule(folder / "module", find_module())
            self.path, self.environment = self.module.path, {**self.environment, **self.module.environment}

    def config(self, *, pin=None, workers: int = 1) -> Config:
        nowhere = Path("/nonexistent")
        return Config(
            listen=Listen(tls=Tls(nowhere, nowhere, nowhere)),
            modules={"soft": Module(path=self.path, environment=self.environment)},
            tokens={
                "seal": Token(
                    "soft", label="seal", workers=workers, pin=pin or PinPrompt(), timeouts=Timeouts(start=10)
                )
            },
            state_dir=self.folder / "state",
        )

    @asynccontextmanager
    async def open(self, **settings):
        served = Served()
        supervisor = Supervisor(self.config(**settings), served.serve, lambda: None, self.acts)
        supervisor.served = served
        task = asyncio.create_task(supervisor.run())
        try:
            await asyncio.wait_for(supervisor.looked(), TIMEOUT)
            yield supervisor
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=TIMEOUT)


async def until(supervisor: Supervisor, holds) -> None:
    token = supervisor._tokens[SEAL]
    await asyncio.wait_for(token.news.until(lambda: holds(token.record())), TIMEOUT)


async def initialize(supervisor: Supervisor, *, blank: bool = True, so_pin: bytes = SO_PIN, pin: bytes = PIN):
    slot = None
    if blank:
        slots = (await supervisor.survey()).slots
        number = next(slot.slot_id for slot in slots if "CKF_TOKEN_INITIALIZED" not in slot.token_flags)
        slot = ("soft", number)
    return await supervisor.initialize(SEAL, slot, None, Pin(so_pin), Pin(pin))


async def set_up(supervisor: Supervisor) -> None:
    await initialize(supervisor)
    await until(supervisor, lambda record: record.state is TokenState.INACTIVE)


def issue(public_key: bytes) -> bytes:
    now, name = dt.datetime.now(dt.UTC), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Segel")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(load_der_public_key(public_key))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    return built.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
