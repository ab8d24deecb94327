"""What every test may ask for: throw-away tokens, made once for a run."""

import datetime as dt
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import settings
from ready_beds import ReadyBeds

from segel_cards import OPENSC, YKCS11, Card, NamespacesRefused, namespaces
from segel_cards.memory import SLOTS, Memory
from segel_softhsm import Testbed

settings.register_profile(
    "shared-machine", deadline=None
)  # how long an example takes says nothing about the code
settings.load_profile("shared-machine")

# Without it each daemon, worker and command that is started compiles all it imports: half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:  # nohup, or a shell's background
        signal.signal(number, lambda *_: None)  # ignored here still, but not by the programs that are tested

BLOCKS_ONCE = (
    ("os.mkdir", "segeld/rpc/unix_socket.py", "prepare"),
    ("os.stat", "segeld/rpc/unix_socket.py", "prepare"),
    ("os.unlink", "segeld/rpc/unix_socket.py", "prepare"),
    ("socket.socket.connect", "segeld/rpc/unix_socket.py", "prepare"),
    ("io.BufferedReader.read", "segeld/rpc/tls_files.py", "credentials"),
    ("os.stat", "segeld/rpc/tls_files.py", "_stamp"),
    ("io.BufferedReader.read", "segeld/supervisor/keys.py", "__init__"),
)
"""Calls that block when the daemon starts, before it serves anybody."""


@pytest.fixture(scope="session")
def ready_beds(tmp_path_factory: pytest.TempPathFactory) -> ReadyBeds:
    """For tests that change tokens: each has a copy of its own."""
    base = tmp_path_factory.getbasetemp()
    return ReadyBeds((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ready-beds")


@pytest.fixture(scope="session")
def testbed(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, ready_beds: ReadyBeds
) -> Testbed:
    """Two tokens with keys of every kind, and a PKI. Shared: tests that change tokens add their own."""
    bed = ready_beds.at(tmp_path_factory.mktemp("shared") / "testbed")
    shutil.copytree(bed.directory / "tokens", bed.directory / PRISTINE)
    pytestconfig.stash[SHARED] = bed
    return bed


PRISTINE = "tokens-as-made"
SHARED = pytest.StashKey[Testbed]()


@pytest.fixture(autouse=True)
def _no_token_stays_empty(pytestconfig: pytest.Config) -> Iterator[None]:
    """SoftHSM2 writes a token's file anew at each login: a process that is killed then leaves it empty."""
    yield
    if (bed := pytestconfig.stash.get(SHARED, None)) is None:
        return
    pristine = bed.directory / PRISTINE
    for file in pristine.glob("*/token.object"):
        there = bed.directory / "tokens" / file.relative_to(pristine)
        if not there.exists() or not there.stat().st_size:
            shutil.copyfile(file, there)


@pytest.fixture(scope="session")
def odd_certificates() -> dict[str, bytes]:
    """Certificates, DER, that tokens and files in the field have held, by what is odd about them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a-name-here")])
    start = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=9000))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.20"), b"\5\0"), critical=False
        )
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    changes = {
        "version": (b"\xa0\3\2\1\2", b"\xa0\3\2\1\6"),
        "name that is not UTF-8": (b"a-name-here", b"a-name-\xff\xfe-x"),
        "extension twice": (b"\6\3\x55\x1d\x14", b"\6\3\x55\x1d\x13"),
        "curve": (b"\x2a\x86\x48\xce\x3d\3\1\7", b"\x2a\x86\x48\xce\x3d\3\1\x66"),
    }
    odd = {what: made.replace(old, new) for what, (old, new) in changes.items()}
    assert made not in odd.values()
    return odd


@pytest.fixture(params=["version", "name that is not UTF-8", "extension twice", "curve"])
def odd_certificate(request: pytest.FixtureRequest, odd_certificates: dict[str, bytes]) -> bytes:
    return odd_certificates[request.param]


NO_CARD = "no virtual card here"
NO_CARDS = pytest.StashKey[str]()
"""Why there is no virtual card on this machine."""


@pytest.fixture(scope="session")
def cards_allowed(pytestconfig: pytest.Config) -> None:
    """For tests that start virtual cards themselves."""
    try:
        namespaces.prefix()
    except NamespacesRefused as refused:
        pytestconfig.stash[NO_CARDS] = str(refused)
        pytest.skip(f"{NO_CARD}: {refused}")


@pytest.fixture(scope="session")
def new_card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a card that was never used. To be copied: its keys take long to make."""
    folder = tmp_path_factory.mktemp("new-card")
    Memory.open(folder, SLOTS)
    return folder


@pytest.fixture
def card(cards_allowed: None, new_card: Path, tmp_path: Path) -> Iterator[Card]:
    """A new PIV card with three tries, seen through OpenSC."""
    with Card(shutil.copytree(new_card, tmp_path / "card"), OPENSC) as card:
        yield card


@pytest.fixture
def yubikey(cards_allowed: None, new_card: Path, tmp_path: Path) -> Iterator[Card]:
    """The same, seen through ykcs11."""
    with Card(shutil.copytree(new_card, tmp_path / "yubikey"), YKCS11) as card:
        yield card


_IN_MEMORY = Path("/dev/shm")


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the machine has one: for tests that sync files a thousand times, and end no machine."""
    if not os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY, prefix="segel-test-") as folder:
        yield Path(folder)


@pytest.fixture
def missing(tmp_path: Path) -> Path:
    """A path at which nothing is."""
    return tmp_path / "missing"


@pytest.fixture(autouse=True)
def _no_blocking_call_in_the_daemons_event_loop() -> Iterator[None]:
    """File and network calls that block fail at once if segeld makes them in a running event loop."""
    with blockbuster_ctx("segeld") as watched:
        for lock in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            watched.functions[lock].deactivate()  # held for moments by metrics and logs
        for function, file, where in BLOCKS_ONCE:
            watched.functions[function].can_block_in(file, where)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In continuous integration nothing is skipped: what is missing there is a failure. The one exception are virtual
    cards where the machine gives no namespaces, which `pytest_terminal_summary` says loudly."""
    report = yield
    without_card = "cards_allowed" in getattr(item, "fixturenames", ()) and NO_CARDS in item.config.stash
    if report.skipped and os.environ.get("CI") and not without_card:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was not tested. By the reports: they come from other processes when tests run side by side."""
    skipped = (str(report.longrepr) for report in terminalreporter.stats.get("skipped", ()))
    refused = next((text.split(NO_CARD, 1)[1].strip(": )'\"") for text in skipped if NO_CARD in text), None)
    if refused is not None:
        terminalreporter.section(
            "NOT TESTED: the PIN guard against a token that locks", sep="!", red=True, bold=True
        )
        terminalreporter.line(
            f"This machine gives no mount and network namespaces ({refused}), so no virtual card was started and "
            "every test with one was skipped. Run the suite where namespaces are allowed, too.",
            red=True,
        )
