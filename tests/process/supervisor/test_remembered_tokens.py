"""What officers decided of a token outlives the daemon: a new supervisor on the same records is the next start."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest
from acts_fake import acts
from office_fakes import FakeRecords

from segeld.config.schema import Config, Listen, Module, PinFile, PinPrompt, Timeouts, Tls, Token
from segeld.dispatch.outcomes import no_replica
from segeld.model.activation import Limits
from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.office.token_records import TokenRecords
from segeld.supervisor.custody import FREE
from segeld.supervisor.supervisor import Supervisor
from segeld.supervisor.worker_handle import WorkerHandle

TIMEOUT = 60
A = TokenName("a")
WRONG = b"000000"


class Custody:
    """Bars what it is told to."""

    def __init__(self) -> None:
        self.barred: dict[KeyName, Reason] = {}

    def chain(self, key, found):
        return FREE.chain(key, found)

    def bar(self, record):
        reason = self.barred.get(record.name)
        return Fault(reason, "An officer does not want it.") if reason is not None else None


class Daemon:
    """One token of a testbed, and what is kept of it while the supervisor is started again and again."""

    def __init__(self, testbed) -> None:
        self.testbed = testbed
        self.module = testbed.module
        self.pin = testbed.token("segel-a").read_pin().encode()
        self.store, self.custody, self.halted, self.acts = FakeRecords(), Custody(), False, acts()
        self.state = Path(mkdtemp(dir=testbed.directory))
        self.workers: set = set()

    def pull_out(self) -> tuple[Path, Path]:
        """The folder of the token, out of the module's sight; and where it belongs."""
        serial, bed = self.testbed.token("segel-a").serial, self.testbed.directory
        (folder,) = [
            each for each in (bed / "tokens").iterdir() if each.name.replace("-", "").endswith(serial)
        ]
        return folder.rename(bed / folder.name), folder

    async def serve(self, _, worker) -> None:
        self.workers.add(worker)
        await worker.leaving.wait()
        self.workers.discard(worker)

    def config(self, pin) -> Config:
        nowhere = Path("/nonexistent")
        return Config(
            listen=Listen(tls=Tls(nowhere, nowhere, nowhere)),
            modules={"soft": Module(path=self.module, environment=self.testbed.environment)},
            tokens={
                "a": Token("soft", label="segel-a", workers=1, pin=pin, timeouts=Timeouts(start=10)),
            },
            state_dir=self.state,
        )

    @asynccontextmanager
    async def start(self, pin=None):
        """As a start of the daemon: by default the PIN is in a file, and is used without an officer."""
        notes = TokenRecords()
        await notes.load(self.store)
        supervisor = Supervisor(
            self.config(pin or PinFile(self.testbed.token("segel-a").pin_file)),
            self.serve,
            lambda: None,
            self.acts,
            custody=self.custody,
            halted=lambda: self.halted,
            notes=notes,
        )
        task = asyncio.create_task(supervisor.run())
        try:
            await asyncio.wait_for(supervisor.looked(), TIMEOUT)
            yield supervisor
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=TIMEOUT)

    def decided(self) -> list[tuple[str, str]]:
        """What officers did with the token, and what became of it; not what was seen on it."""
        return [act for act in self.store.acts(str(A)) if not act[0].startswith("token keys")]

    def probes(self) -> list[str]:
        return [leaf.subject for leaf in self.acts._recorder.leaves if leaf.what == "probe"]


@pytest.fixture
def daemon(testbed) -> Daemon:
    return Daemon(testbed)


@pytest.fixture
def signed(monkeypatch) -> list[KeyName]:
    """The key of whatever a worker is asked to sign."""
    signed: list[KeyName] = []
    sign = WorkerHandle.sign

    async def counted(worker, key, *rest, **more):
        signed.append(KeyName(key))
        return await sign(worker, key, *rest, **more)

    monkeypatch.setattr(WorkerHandle, "sign", counted)
    return signed


async def until(supervisor: Supervisor, holds) -> None:
    token = supervisor._tokens[A]
    await asyncio.wait_for(token.news.until(lambda: holds(token.record())), TIMEOUT)


async def active(supervisor: Supervisor) -> None:
    await until(supervisor, lambda record: record.state is TokenState.ACTIVE)


async def stays_out(supervisor: Supervisor) -> None:
    """Its worker has opened the token and waits: the next that it does by itself would be to log in."""
    token = supervisor._tokens[A]
    await asyncio.wait_for(token.news.until(lambda: token._slots[0].status.stage.name == "WAITING"), TIMEOUT)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not token._pin._taken
    assert not supervisor.token(A).workers_ready


async def test_an_officers_quarantine_outlasts_the_daemon_and_ends_with_its_release(daemon) -> None:
    async with daemon.start() as supervisor:
        await active(supervisor)
        before = await supervisor.quarantine(A, "the reader was found open", "wayan")
    daemon.acts._recorder.leaves.clear()
    async with daemon.start() as supervisor:
        await stays_out(supervisor)
        record = supervisor.token(A)
        assert (record.state, record.state_since) == (TokenState.QUARANTINED, before.state_since)
        assert record.state_reason == before.state_reason
        for word in ("wayan", "the reader was found open", "UTC", "segelctl token release a"):
            assert word in record.state_reason
        with pytest.raises(Fault, match="found open"):
            await supervisor.activate(A, Pin(daemon.pin), who="made")
        with pytest.raises(Fault, match="already"):
            await supervisor.quarantine(A, "again", "made")
        assert not daemon.probes()
        await supervisor.release(A, "made")
        await active(supervisor)
    async with daemon.start() as supervisor:
        await active(supervisor)
    assert daemon.decided() == [("token quarantine", "wayan"), ("token release", "made")]


async def test_the_daemons_own_quarantine_outlasts_it_too(daemon) -> None:
    async with daemon.start() as supervisor:
        await active(supervisor)
        supervisor.note_bad_signature(A)
        supervisor.note_bad_signature(A)
        assert supervisor.token(A).state is TokenState.QUARANTINED
        token = supervisor._tokens[A]
        await asyncio.wait_for(token.news.until(lambda: token._isolation.is_written), TIMEOUT)
    async with daemon.start() as supervisor:
        await stays_out(supervisor)
        assert "do not verify" in supervisor.token(A).state_reason
        with pytest.raises(Fault):
            await supervisor.activate(A, Pin(WRONG), who="made")
        assert supervisor.token(A).state is TokenState.QUARANTINED  # a wrong PIN does not lift it
    async with daemon.start() as supervisor:
        await stays_out(supervisor)
        assert (await supervisor.activate(A, Pin(daemon.pin), who="made")).state is TokenState.ACTIVE
    async with daemon.start() as supervisor:
        await active(supervisor)
    assert daemon.decided() == [("token quarantine", ""), ("token release", "made")]


async def test_one_that_cannot_be_written_holds_all_the_same_and_the_officer_is_told(daemon) -> None:
    async with daemon.start() as supervisor:
        await active(supervisor)
        daemon.store.broken = True
        with pytest.raises(Fault, match="could not be written down: a restart") as told:
            await supervisor.quarantine(A, "a strange noise", "wayan")
        assert told.value.reason is Reason.STORAGE_UNAVAILABLE
        record = supervisor.token(A)
        assert record.state is TokenState.QUARANTINED
        assert "not written down yet" in record.state_reason
        assert not daemon.workers
        with pytest.raises(Fault):  # nor is it lifted unrecorded
            await supervisor.release(A, "made")
        assert supervisor.token(A).state is TokenState.QUARANTINED


async def test_an_activation_that_cannot_be_written_leaves_the_token_in_quarantine(daemon) -> None:
    async with daemon.start(PinPrompt()) as supervisor:
        await supervisor.activate(A, Pin(daemon.pin), who="wayan")
        supervisor.note_bad_signature(A)
        supervisor.note_bad_signature(A)
        token = supervisor._tokens[A]
        await asyncio.wait_for(token.news.until(lambda: token._isolation.is_written), TIMEOUT)
        daemon.store.broken = True
        with pytest.raises(Fault, match="cannot be written"):
            await supervisor.activate(A, Pin(daemon.pin), who="made")
        assert supervisor.token(A).state is TokenState.QUARANTINED
        await until(supervisor, lambda record: not record.workers_ready)


async def test_a_token_with_a_limit_does_not_log_in_by_itself_after_a_restart(daemon) -> None:
    async with daemon.start() as supervisor:
        await active(supervisor)  # nobody set a limit yet
        await supervisor.deactivate(A)
        await supervisor.activate(A, None, Limits(None, 5), "wayan")
        assert supervisor.token(A).signatures_left == 5
    async with daemon.start() as supervisor:
        await stays_out(supervisor)
        record = supervisor.token(A)
        assert record.state is TokenState.INACTIVE
        assert "wayan set limits" in record.state_reason
        assert "segelctl token activate a" in record.state_reason
        await supervisor.activate(A, None, who="made")
        assert supervisor.token(A).signatures_left is None
    async with daemon.start() as supervisor:
        await active(supervisor)
    assert [what for what, _ in daemon.decided()] == ["token limits set", "token limits lifted"]


async def test_limits_that_an_active_token_gets_are_remembered_and_not_lifted_by_an_activation_that_is_none(
    daemon,
) -> None:
    async with daemon.start() as supervisor:
        await active(supervisor)
        await supervisor.activate(A, None, Limits(3600.0, None), "wayan")
        await supervisor.activate(A, None, who="made")  # it is active: nothing begins, nothing widens
        assert supervisor.token(A).active_until is not None
    async with daemon.start() as supervisor:
        await stays_out(supervisor)
        assert supervisor.token(A).state is TokenState.INACTIVE


async def test_limits_that_cannot_be_written_are_refused_before_the_pin_is_tried(daemon) -> None:
    async with daemon.start(PinPrompt()) as supervisor:
        daemon.store.broken = True
        pin = Pin(daemon.pin)
        with pytest.raises(Fault, match="cannot be written"):
            await supervisor.activate(A, pin, Limits(60.0, None), "wayan")
        assert supervisor.token(A).state is TokenState.INACTIVE
        assert not len(pin)  # wiped


async def test_a_disabled_key_signs_no_probe_at_an_activation_and_one_before_it_is_used_again(
    daemon, signed
) -> None:
    key = KeyName(bytes.fromhex(daemon.testbed.token("segel-a").key("seal-p256").spki_sha256))
    other = KeyName(bytes.fromhex(daemon.testbed.token("segel-a").key("seal-p384").spki_sha256))
    daemon.custody.barred = {key: Reason.KEY_DISABLED}
    async with daemon.start() as supervisor:
        await active(supervisor)
        assert key not in signed
        assert signed.count(other) == 1
        assert key not in supervisor.names_on(A)
        assert key not in supervisor.requestable_on(A)
        daemon.custody.barred = {key: Reason.KEY_CERTIFICATE}
        supervisor.review()
        assert key not in supervisor.names_on(A)
        assert key in supervisor.requestable_on(A)
        daemon.custody.barred = {}
        supervisor.review()
        assert key not in supervisor.names_on(A)  # not before it is proved
        token = supervisor._tokens[A]
        await asyncio.wait_for(token.news.until(lambda: key in supervisor.names_on(A)), TIMEOUT)
        assert signed.count(key) == 1
        assert signed.count(other) == 1
        assert daemon.probes().count(str(key)) == 1


async def test_nothing_is_proved_while_nothing_may_be_signed(daemon, signed) -> None:
    daemon.halted = True
    async with daemon.start() as supervisor:
        await active(supervisor)
        assert not signed
        assert not daemon.probes()
        daemon.halted = False
        assert not supervisor.names_on(A)
        supervisor.review()
        token = supervisor._tokens[A]
        await asyncio.wait_for(token.news.until(lambda: len(supervisor.names_on(A)) == 5), TIMEOUT)
        assert sorted(map(str, signed)) == sorted(daemon.probes())


async def told(supervisor: Supervisor, state: TokenState, reason: Reason) -> None:
    """Whoever asks for any of its keys hears that it is so, and that trying again makes sense; none can be used."""
    await until(supervisor, lambda record: record.state is state)
    known = supervisor.keys()
    assert len(known) == 5
    for key in known:
        fault = no_replica(key.name, supervisor.key(key.name))
        assert (fault.reason, fault.retry_after) == (reason, 5.0)
        assert fault.text.endswith("Ask an officer to look at: segelctl token show a")
    assert not supervisor.names_on(A)
    assert not supervisor.requestable_on(A)


async def test_keys_are_known_while_their_module_or_token_is_not_there_and_used_when_it_is(
    daemon, signed
) -> None:
    async with daemon.start() as supervisor:
        await active(supervisor)
        before = supervisor.keys()
    signed.clear()
    daemon.module = Path("/nonexistent/module.so")
    async with daemon.start() as supervisor:
        await told(supervisor, TokenState.FAILED, Reason.DEVICE_ERROR)
    daemon.module = daemon.testbed.module
    away, place = daemon.pull_out()
    async with daemon.start() as supervisor:
        await told(supervisor, TokenState.ABSENT, Reason.TOKEN_NOT_PRESENT)
        assert not signed
        away.rename(place)
        await active(supervisor)
        assert supervisor.keys() == before
        assert len(signed) == 5
    assert daemon.store.acts(str(A)) == [("token keys seen", "")]


async def test_of_a_token_that_is_initialised_nothing_is_remembered(daemon) -> None:
    so_pin = daemon.testbed.token("segel-a").read_so_pin().encode()
    async with daemon.start() as supervisor:
        await active(supervisor)
        await supervisor.initialize(A, None, None, Pin(so_pin), Pin(daemon.pin))
        await until(supervisor, lambda record: record.state is TokenState.INACTIVE)
        assert supervisor.keys() == ()
    async with daemon.start(PinPrompt()) as supervisor:
        assert supervisor.keys() == ()
    assert daemon.store.acts(str(A)) == [("token keys seen", ""), ("token keys forgotten", "")]
