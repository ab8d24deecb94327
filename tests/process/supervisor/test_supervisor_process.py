"""Real workers on SoftHSM2 under a real supervisor: log in, die, come back; one token does not disturb another."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import msgspec
import pytest
from acts_fake import acts

from segel_softhsm import Testbed, add_token, oddities
from segeld.config.schema import Config, Listen, Module, PinFile, PinPrompt, Timeouts, Tls, Token
from segeld.ipc.worker_wire import Signed
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.deadline import Deadline
from segeld.model.faults import Fault, Reason
from segeld.model.names import KeyName, TokenName
from segeld.model.secret import Pin
from segeld.model.token_state import TokenState
from segeld.supervisor.spawn import spawn
from segeld.supervisor.supervisor import Supervisor
from segeld.supervisor.worker_handle import WorkerHandle

TIMEOUT = 30
A, B = TokenName("a"), TokenName("b")


class Served:
    """Stands where the dispatcher stands: keeps the workers it is given."""

    def __init__(self) -> None:
        self.workers: dict[TokenName, set] = {}

    async def serve(self, token, worker) -> None:
        self.workers.setdefault(token, set()).add(worker)
        await worker.leaving.wait()
        self.workers[token].discard(worker)

    def one(self, token):
        return next(iter(self.workers[token]))


def config(
    testbed: Testbed, *, pin_a=None, workers: int = 1, label_a: str = "segel-a", conf: str | None = None
) -> Config:
    environment = {"SOFTHSM2_CONF": conf} if conf else testbed.environment
    nowhere = Path("/nonexistent")
    return Config(
        listen=Listen(tls=Tls(nowhere, nowhere, nowhere)),
        modules={"soft": Module(path=testbed.module, environment=environment)},
        tokens={
            "a": Token(
                "soft",
                label=label_a,
                workers=workers,
                pin=pin_a or PinFile(testbed.token("segel-a").pin_file),
                timeouts=Timeouts(start=10),
            ),
            "b": Token("soft", label="segel-b", workers=1, pin=PinFile(testbed.token("segel-b").pin_file)),
        },
        state_dir=Path(mkdtemp(dir=testbed.directory)),
    )


@asynccontextmanager
async def running(settings: Config):
    served = Served()
    supervisor = Supervisor(settings, served.serve, lambda: None, acts())
    task = asyncio.create_task(supervisor.run())
    try:
        await asyncio.wait_for(supervisor.looked(), TIMEOUT)
        yield supervisor, served
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=TIMEOUT)


async def until(supervisor: Supervisor, name: TokenName, holds) -> None:
    token = supervisor._tokens[name]
    await asyncio.wait_for(token.news.until(lambda: holds(token.record())), TIMEOUT)


async def sign(worker, key) -> Signed:
    return await worker.sign(
        bytes.fromhex(key.spki_sha256),
        Algorithm.ECDSA_P256_SHA256.number,
        EcdsaEncoding.DER,
        urgent=False,
        deadlines=(Deadline.after(TIMEOUT).at,),
        inputs=(bytes(32),),
        patience=TIMEOUT,
    )


async def test_both_tokens_come_up_with_all_their_keys(testbed) -> None:
    async with running(config(testbed, workers=2)) as (supervisor, _):
        await until(supervisor, A, lambda record: record.workers_ready == 2)
        await until(supervisor, B, lambda record: record.state is TokenState.ACTIVE)
        found = {key.label for key in supervisor.token(A).keys if key.unusable is None}
        assert found == {f"seal-{kind}" for kind in ("rsa2048", "rsa3072", "p256", "p384", "ed25519")}
        assert len(supervisor.keys()) == 7
        assert all(key.active and key.chain for key in supervisor.keys())  # noqa: SIM118  # a method of its own


async def test_a_killed_worker_is_replaced_and_the_other_token_notices_nothing(testbed) -> None:
    async with running(config(testbed)) as (supervisor, served):
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        await until(supervisor, B, lambda record: record.state is TokenState.ACTIVE)
        victim, bystander = served.one(A), served.one(B)
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.wait_for(victim.ended.wait(), TIMEOUT)
        await until(supervisor, A, lambda record: record.state is TokenState.RECOVERING)
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        assert served.one(A) is not victim
        assert served.one(B) is bystander
        assert isinstance(
            (await sign(served.one(A), testbed.token("segel-a").key("seal-p256"))).outcomes[0], bytes
        )


async def test_a_worker_that_hangs_is_killed_and_replaced(testbed) -> None:
    async with running(config(testbed)) as (supervisor, served):
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        victim = served.one(A)
        os.kill(victim.pid, signal.SIGSTOP)
        with pytest.raises(Exception, match=r"no answer for 0\.2 s"):
            await victim.survey(0.2)
        await asyncio.wait_for(victim.ended.wait(), TIMEOUT)
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        assert served.one(A) is not victim


async def test_an_officer_activates_deactivates_and_activates_again(testbed) -> None:
    pin = testbed.token("segel-a").read_pin().encode()
    async with running(config(testbed, pin_a=PinPrompt(), workers=2)) as (supervisor, served):
        assert supervisor.token(A).state is TokenState.INACTIVE
        for _ in range(2):
            assert (await supervisor.activate(A, Pin(pin))).state is TokenState.ACTIVE
            await until(supervisor, A, lambda record: record.workers_ready == 2)
            assert (await supervisor.deactivate(A)).state is not TokenState.ACTIVE
            await until(supervisor, A, lambda record: record.state is TokenState.INACTIVE)
            assert not served.workers[A]


async def test_a_wrong_pin_is_tried_once_and_the_right_one_works_afterwards(testbed) -> None:
    pin = testbed.token("segel-a").read_pin().encode()
    async with running(config(testbed, pin_a=PinPrompt(), workers=3)) as (supervisor, _):
        with pytest.raises(Fault, match="refused the PIN") as wrong:
            await supervisor.activate(A, Pin(b"000000"))
        assert wrong.value.reason is Reason.PIN_INCORRECT
        await until(supervisor, A, lambda record: record.state is TokenState.LOCKED)
        with pytest.raises(Fault) as again:
            await supervisor.activate(A, Pin(b"000000"))
        assert again.value.reason is Reason.PIN_REFUSED_BEFORE
        assert (await supervisor.activate(A, Pin(pin))).state is TokenState.ACTIVE


async def test_a_pin_file_with_a_wrong_pin_locks_the_token_for_the_daemon_after_one_attempt(
    testbed, tmp_path
) -> None:
    wrong = tmp_path / "pin"
    wrong.write_text("000000")
    wrong.chmod(0o600)
    async with running(config(testbed, pin_a=PinFile(wrong), workers=2)) as (supervisor, _):
        await until(supervisor, A, lambda record: record.state is TokenState.LOCKED)
        assert "refused the PIN" in supervisor.token(A).state_reason
        await until(supervisor, B, lambda record: record.state is TokenState.ACTIVE)


async def test_a_token_that_is_not_there_is_absent_and_found_when_it_comes(tmp_path, ready_beds) -> None:
    testbed = ready_beds.at(tmp_path / "own", "p256")
    settings = config(testbed, label_a="late", pin_a=PinPrompt())
    async with running(settings) as (supervisor, _):
        assert supervisor.token(A).state is TokenState.ABSENT
        with pytest.raises(Fault) as absent:
            await supervisor.activate(A, Pin(b"123456"))
        assert absent.value.reason is Reason.TOKEN_NOT_PRESENT
        late = add_token(testbed, "late", ["p256"])
        await until(supervisor, A, lambda record: record.state is TokenState.INACTIVE)
        assert (await supervisor.activate(A, Pin(late.read_pin().encode()))).state is TokenState.ACTIVE


async def test_a_module_that_is_none_fails_and_says_why(testbed, tmp_path) -> None:
    fake = tmp_path / "libfake.so"
    fake.write_bytes(b"not a library")
    settings = config(testbed)
    broken = Module(path=fake)
    settings = Config(
        listen=settings.listen,
        modules={**settings.modules, "broken": broken},
        tokens={"a": Token("broken", label="x", workers=1), "b": settings.tokens["b"]},
        state_dir=settings.state_dir,
    )
    async with running(settings) as (supervisor, _):
        assert supervisor.token(A).state is TokenState.FAILED
        assert str(fake) in supervisor.token(A).state_reason
        await until(supervisor, B, lambda record: record.state is TokenState.ACTIVE)
        survey = await supervisor.survey()
        assert len(survey.unreachable) == 1
        assert {slot.token_label for slot in survey.slots if slot.token_label} >= {"segel-a", "segel-b"}


async def test_a_killed_keeper_stops_nobody_who_is_ready_and_reads_its_files_again(testbed) -> None:
    async with running(config(testbed)) as (supervisor, served):
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        keeper = await supervisor.keeper()
        os.kill(keeper.pid, signal.SIGKILL)
        await asyncio.wait_for(keeper.ended.wait(), TIMEOUT)
        assert isinstance(
            (await sign(served.one(A), testbed.token("segel-a").key("seal-p256"))).outcomes[0], bytes
        )
        os.kill(served.one(A).pid, signal.SIGKILL)
        await until(supervisor, A, lambda record: record.state is not TokenState.ACTIVE)
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        assert (await supervisor.keeper()).pid != keeper.pid


async def test_two_wrong_signatures_quarantine_the_token_until_an_officer_activates_it(testbed) -> None:
    pin = testbed.token("segel-a").read_pin().encode()
    async with running(config(testbed)) as (supervisor, _):
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        supervisor.note_bad_signature(A)
        assert supervisor.token(A).state is TokenState.ACTIVE
        supervisor.note_bad_signature(A)
        assert supervisor.token(A).state is TokenState.QUARANTINED
        assert (await supervisor.activate(A, Pin(pin))).state is TokenState.ACTIVE


async def test_keys_that_cannot_be_used_are_shown_with_the_reason(tmp_path, ready_beds) -> None:
    testbed = ready_beds.at(tmp_path / "own", "p256")
    oddities.add_bare_private_key(testbed, "segel-a", "bare")
    oddities.add_key_with_same_id(testbed, "segel-a", "seal-p256", "twin")
    async with running(config(testbed)) as (supervisor, _):
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        found = {key.label: key for key in supervisor.token(A).keys}
        assert found["bare"].unusable is Reason.KEY_UNUSABLE
        assert found["bare"].name is None
        assert {found["seal-p256"].unusable, found["twin"].unusable} == {Reason.KEY_AMBIGUOUS}
        assert all(key.trouble for key in found.values())
        assert not supervisor.names_on(A)


async def test_a_public_key_and_certificates_from_files_make_a_bare_key_usable(tmp_path, ready_beds) -> None:
    testbed = ready_beds.at(tmp_path / "own", "p256")
    oddities.add_bare_private_key(testbed, "segel-a", "bare")
    testbed = Testbed.load(testbed.directory)
    bare = testbed.token("segel-a").key("bare")
    settings = config(testbed)
    token = msgspec.structs.replace(
        settings.tokens["a"], public_keys=(bare.public_key,), certificates=(bare.chain,)
    )
    settings = msgspec.structs.replace(settings, tokens={**settings.tokens, "a": token})
    async with running(settings) as (supervisor, served):
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)
        key = supervisor.key(KeyName.parse(f"sha256-{bare.spki_sha256}"))
        assert key is not None
        assert key.active
        assert len(key.chain) == 3
        assert isinstance((await sign(served.one(A), bare)).outcomes[0], bytes)


async def test_a_key_on_two_tokens_is_one_key_with_two_replicas(tmp_path, ready_beds) -> None:
    testbed = ready_beds.at(tmp_path / "own", "p256")
    oddities.add_replicated_key(testbed, ["segel-a", "segel-b"], "both", kind="p256")
    async with running(config(testbed)) as (supervisor, _):
        for name in (A, B):
            await until(supervisor, name, lambda record: record.state is TokenState.ACTIVE)
        replicated = [key for key in supervisor.keys() if len(key.tokens) == 2]  # noqa: SIM118  # a method of its own
        assert len(replicated) == 1
        assert dict(replicated[0].tokens) == {A: TokenState.ACTIVE, B: TokenState.ACTIVE}


async def test_two_officers_at_once_spend_one_try_for_one_wrong_pin(testbed) -> None:
    pin = testbed.token("segel-a").read_pin().encode()
    async with running(config(testbed, pin_a=PinPrompt(), workers=2)) as (supervisor, _):
        wrong = [asyncio.create_task(supervisor.activate(A, Pin(b"000000"))) for _ in range(2)]
        right = asyncio.create_task(supervisor.activate(A, Pin(pin)))
        refused = await asyncio.gather(*wrong, return_exceptions=True)
        assert [fault.reason for fault in refused] == [Reason.PIN_INCORRECT, Reason.PIN_REFUSED_BEFORE]
        assert (await right).state is TokenState.ACTIVE


async def test_an_officer_who_does_not_wait_leaves_a_token_that_is_active_or_is_not(testbed) -> None:
    pin = testbed.token("segel-a").read_pin().encode()
    async with running(config(testbed, pin_a=PinPrompt())) as (supervisor, _):
        impatient = asyncio.create_task(supervisor.activate(A, Pin(pin)))
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await until(supervisor, A, lambda record: record.state is TokenState.ACTIVE)


async def test_after_a_keeper_loss_an_officer_gives_the_pin_again_without_an_outage(testbed) -> None:
    pin = testbed.token("segel-a").read_pin().encode()
    async with running(config(testbed, pin_a=PinPrompt(), workers=2)) as (supervisor, served):
        await supervisor.activate(A, Pin(pin))
        await until(supervisor, A, lambda record: record.workers_ready == 2)
        keeper = await supervisor.keeper()
        os.kill(keeper.pid, signal.SIGKILL)
        await asyncio.wait_for(keeper.ended.wait(), TIMEOUT)
        os.kill(served.one(A).pid, signal.SIGKILL)
        await until(supervisor, A, lambda record: record.workers_ready == 1)
        assert "segelctl token activate a" in supervisor.token(A).state_reason
        record = await supervisor.activate(A, Pin(pin))
        assert (record.state, record.state_reason, record.workers_ready) == (TokenState.ACTIVE, "", 2)


async def test_slots_are_surveyed_once_for_all_who_ask_at_the_same_time(testbed) -> None:
    async with running(config(testbed)) as (supervisor, _):
        first, second = await asyncio.gather(supervisor.survey(), supervisor.survey())
        assert first is second


async def test_a_worker_whose_start_is_given_up_is_ended(monkeypatch) -> None:
    started = []
    there = asyncio.Event()

    async def noted(*arguments, **options):
        started.append(await spawn(*arguments, **options))
        there.set()
        return started[-1]

    async def never(*_, **__) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("segeld.supervisor.worker_handle.spawn", noted)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    starting = asyncio.create_task(WorkerHandle.start({}))
    await asyncio.wait_for(there.wait(), TIMEOUT)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert started[0].returncode is not None
