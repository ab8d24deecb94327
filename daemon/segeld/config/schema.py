"""The configuration as frozen structs. `daemon/segeld.example.toml` explains each option to people."""

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, field

from segeld.config.strict import Strict

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Items = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Month = Annotated[float, Meta(gt=0, le=30 * 86_400)]
"""Seconds, up to 30 days."""
Year = Annotated[float, Meta(gt=0, le=365 * 86_400)]
"""Seconds, up to 365 days."""

STATE_DIR: Final = Path("/var/lib/segel")
RUNTIME_DIR: Final = Path("/run/segel")


class Tls(Strict, frozen=True):
    """PEM files. Every listener wants a certificate from its clients, issued under `client_ca`."""

    certificate: Path
    """The listener's own chain, its own certificate first."""
    key: Path
    client_ca: Path


class Listen(Strict, frozen=True):
    """Where callers come in."""

    tls: Tls
    address: str = "127.0.0.1:7443"
    """Host and port; port 0 takes any free one."""


class Officers(Strict, frozen=True):
    """Where officers and auditors come in."""

    socket: Path | None = None
    """None: `officer.sock` in the runtime folder."""
    mode: Annotated[int, Meta(ge=0, le=0o777)] = 0o600
    address: str | None = None
    """A TCP address beside the socket; None: the socket alone."""
    tls: Tls | None = None
    """None: the same as for callers."""


class Metrics(Strict, frozen=True):
    """Figures for Prometheus, over plain HTTP."""

    address: str = "127.0.0.1:7444"


class Notify(Strict, frozen=True):
    """Who is told when an officer, an approver or the administrator is needed."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    """A program by its full path, and its arguments. It reads one JSON object."""


class Witness(Strict, frozen=True):
    """A second place that keeps the audit log's newest checkpoint. One of `file` and `command`."""

    file: Path | None = None
    """On another machine's or device's mount; its folder must be there."""
    command: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    """A program by its full path, and its arguments. Reads a checkpoint, or nothing; prints the last one it knows."""
    interval: Seconds = 60.0
    """Seconds between two checkpoints that it is given."""


class Audit(Strict, frozen=True):
    witness: Witness | None = None


class Certificates(Strict, frozen=True):
    """The certificates of keys."""

    revocation: Literal["auto", "off"] = "auto"
    """Whether their authorities are asked if they were revoked, where the certificates say how (OCSP, CRL)."""
    revocation_interval: Annotated[float, Meta(ge=60, le=7 * 86_400)] = 21_600.0
    """Seconds between two questions about one certificate: 6 hours."""


class Log(Strict, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Module(Strict, frozen=True):
    """A vendor's PKCS#11 library."""

    path: Path
    reserved: str | None = None
    """CK_C_INITIALIZE_ARGS.pReserved, for modules that want a string there."""
    environment: dict[str, str] = field(default_factory=dict)
    """What its workers get beside the daemon's own small environment."""


class _Pin(Strict, frozen=True, tag_field="source"):
    @property
    def source(self) -> str:
        """The word for people and for the wire."""
        return str(self.__struct_config__.tag)


class PinPrompt(_Pin, frozen=True, tag="prompt"):
    """An officer types it, after every start."""


class PinFile(_Pin, frozen=True, tag="file"):
    """The keeper reads it from a file that nobody else can read. A systemd credential is such a file."""

    path: Path


class PinDescriptor(_Pin, frozen=True, tag="descriptor"):
    """The keeper reads it from a descriptor that the daemon was started with."""

    number: Annotated[int, Meta(ge=3, le=1023)]


class PinCredential(_Pin, frozen=True, tag="credential"):
    """A systemd credential (systemd.exec(5), LoadCredential=)."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")]


class PinPad(_Pin, frozen=True, tag="pad"):
    """A person types it at the reader's own keys, at each activation (CKF_PROTECTED_AUTHENTICATION_PATH)."""


PinSource = PinPrompt | PinFile | PinDescriptor | PinCredential | PinPad


class Timeouts(Strict, frozen=True):
    """Seconds after which a worker that does not answer is killed."""

    start: Seconds = 20.0
    """To load the module and open the token."""
    login: Seconds = 20.0
    """For one C_Login."""
    pinpad: Seconds = 180.0
    """For one C_Login in which a person types the PIN at the reader."""
    operation: Seconds = 10.0
    """For one signature or one search."""


class Token(Strict, frozen=True):
    """A token to sign with: found by its label, its serial number, or both."""

    module: str
    label: str | None = None
    serial: str | None = None
    workers: Annotated[int, Meta(ge=1, le=64)] = 2
    sessions: Annotated[int, Meta(ge=1, le=256)] = 1
    """Sessions, so calls at once, in each worker."""
    pin: PinSource = PinPrompt()
    unattended: bool = True
    """Whether the token is logged in by itself after a start, if its PIN can be had without an officer, and after it was
    taken out and put back."""
    flags_trusted: bool | None = None
    """Whether the token's flags tell truly how many PIN tries are left; None: as known of its manufacturer."""
    timeouts: Timeouts = Timeouts()
    public_keys: tuple[Path, ...] = ()
    """PEM files: public keys of private keys whose public half is not on the token."""
    certificates: tuple[Path, ...] = ()
    """PEM files: certificates of its keys, and of their issuers, that are not on the token."""


class Limits(Strict, frozen=True):
    """What the daemon takes before it says RESOURCE_EXHAUSTED."""

    max_batch: Annotated[int, Meta(ge=1, le=1024)] = 1024
    """Inputs in one request."""
    max_in_flight: Count = 8192
    """Inputs in flight on one stream."""
    max_streams: Count = 64
    """Sign streams open at once. A client that stops reading costs about 4 MB for each."""
    max_streams_per_caller: Count = 16
    queue: Count = 65_536
    """Inputs that wait or are being signed, over all callers."""
    queue_per_caller: Count = 16_384
    max_calls: Count = 4096
    """Calls open at once, streams among them, over all callers."""
    max_calls_per_caller: Count = 1024
    max_connections: Count = 1024
    max_calls_per_connection: Count = 128
    max_message: Annotated[int, Meta(ge=65_536, le=1_048_576)] = 1_048_576
    """Octets of one message."""
    deadline: Seconds = 60.0
    """Seconds. No request waits longer, whatever its client allows."""
    grace: Seconds = 30.0
    """Seconds that a stopping daemon gives to what it has begun."""
    max_job_items: Items = 5_000_000
    """Items in one job."""
    jobs_per_caller: Count = 1000
    """Jobs of one caller that have not ended."""
    job_items_per_caller: Items = 20_000_000
    """Items in all jobs of one caller that are kept, ended ones too."""
    open_job_lifetime: Month = 86_400.0
    """Seconds after which a job that was not sealed expires."""
    job_deadline: Month = 259_200.0
    """Seconds that a job has, if it does not say: 72 hours."""
    results_retention: Year = 2_592_000.0
    """Seconds that a job's results are kept after its end, if it does not say: 30 days."""
    answers_retention: Month = 86_400.0
    """Seconds that the answer to a request with a request_id is kept: 24 hours."""
    max_watches: Count = 64
    """Jobs watched and results read at once, over all callers. A client that stops reading costs about 4 MB for each."""
    max_watches_per_caller: Count = 16


class Config(Strict, frozen=True):
    """Everything the daemon is told. Made by `segeld.config.load`, which also looks at the files it names."""

    listen: Listen
    modules: dict[str, Module]
    tokens: dict[str, Token]
    state_dir: Path = STATE_DIR
    runtime_dir: Path = RUNTIME_DIR
    policy: Path = Path("policy.toml")
    officers: Officers = Officers()
    metrics: Metrics | None = None
    notify: Notify | None = None
    audit: Audit = Audit()
    certificates: Certificates = Certificates()
    log: Log = Log()
    limits: Limits = Limits()
    reflection: bool = False
    dev: bool = False
    """Set by `segeld dev` alone: throw-away tokens, reflection, loopback only."""

    @property
    def officer_socket(self) -> Path:
        return self.officers.socket or self.runtime_dir / "officer.sock"

    @property
    def officer_tls(self) -> Tls:
        return self.officers.tls or self.listen.tls

    @property
    def reflects(self) -> bool:
        return self.reflection or self.dev
