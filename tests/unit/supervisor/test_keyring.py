"""Keys are proved by a probe, but not those that must not sign: these are proved before they sign."""

import pytest
from keyring_desk import FAILED, Desk, Worker, name

from segeld.ipc.worker_wire import FoundKey
from segeld.model.algorithm import KeyKind
from segeld.model.faults import Reason
from segeld.supervisor.worker_handle import WorkerLost


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_a_key_that_is_barred_signs_no_probe_and_may_not_be_used(desk) -> None:
    desk.barred = {name("b")}
    await desk.know("a", "b")
    assert desk.worker.signed == desk.recorded == [name("a")]
    assert desk.ring.names == {name("a")}
    assert desk.ring.unproved == {name("b")}
    assert len(desk.ring.keys) == 2  # officers see it


async def test_it_is_proved_once_when_it_is_barred_no_more_and_used_only_then(desk) -> None:
    desk.barred = {name("b"), name("c")}
    await desk.know("a", "b", "c")
    desk.barred = {name("c")}
    desk.ring.review()
    assert name("b") not in desk.ring.names
    await desk.review()
    assert desk.worker.signed == desk.recorded == [name("a"), name("b")]
    assert desk.ring.names == {name("a"), name("b")}
    assert desk.updates == 1
    await desk.review()
    assert len(desk.worker.signed) == 2


async def test_one_that_is_barred_while_its_probe_is_being_recorded_signs_none(desk) -> None:
    desk.meanwhile = lambda: desk.barred.add(name("a"))
    await desk.know("a")
    assert desk.recorded == [name("a")]
    assert desk.worker.signed == []
    assert (desk.ring.names, desk.ring.unproved) == (frozenset(), {name("a")})
    desk.barred, desk.meanwhile = set(), lambda: None
    await desk.review()
    assert desk.worker.signed == [name("a")]
    assert desk.ring.names == {name("a")}


async def test_one_that_is_barred_so_after_an_activation_signs_none_either(desk) -> None:
    desk.barred = {name("a")}
    await desk.know("a")
    desk.barred, desk.meanwhile = set(), lambda: desk.barred.add(name("a"))
    await desk.review()
    assert desk.worker.signed == []
    assert desk.ring.unproved == {name("a")}


async def test_one_that_is_barred_no_more_before_the_others_are_proved_is_proved_with_them(desk) -> None:
    desk.barred = {name("a")}
    desk.meanwhile = desk.barred.clear  # while the next is recorded
    await desk.know("a", "b")
    assert desk.worker.signed == [name("b"), name("a")]
    assert desk.ring.names == {name("a"), name("b")}


async def test_one_whose_probe_fails_then_is_unusable(desk) -> None:
    desk.barred = {name("a")}
    await desk.know("a")
    desk.barred, desk.worker.outcome = set(), FAILED
    await desk.review()
    (key,) = desk.ring.keys
    assert key.unusable is Reason.KEY_UNUSABLE
    assert not desk.ring.names | desk.ring.unproved
    assert not desk.worker.killed


async def test_a_worker_that_fails_at_it_is_replaced_and_the_next_one_proves_it(desk) -> None:
    desk.barred = {name("a")}
    await desk.know("a")
    desk.barred, desk.worker.outcome = set(), WorkerLost("it hung")
    await desk.review()
    assert desk.worker.killed == "it hung"
    assert not desk.ring.names
    fresh = Worker()
    await desk.know("a", worker=fresh)
    assert fresh.signed == [name("a")]
    assert desk.ring.names == {name("a")}


async def test_without_a_worker_the_next_one_proves_it_before_it_signs(desk) -> None:
    desk.barred = {name("a")}
    await desk.know("a")
    gone, desk.worker, desk.barred = desk.worker, None, set()
    await desk.review()
    assert not desk.ring.names
    fresh = Worker()
    await desk.know("a", worker=fresh)
    assert (gone.signed, fresh.signed) == ([], [name("a")])


async def test_what_cannot_be_recorded_is_not_proved_until_it_can_be(desk) -> None:
    desk.barred = {name("a")}
    await desk.know("a")
    desk.barred, desk.full = set(), True
    await desk.review()
    assert not desk.worker.signed
    assert not desk.ring.names
    desk.full = False
    await desk.review()
    assert desk.ring.names == {name("a")}


async def test_while_nothing_is_signed_no_probe_is_either(desk) -> None:
    desk.halted = True
    await desk.know("a", "b")
    assert not desk.worker.signed
    assert desk.ring.names == {name("a"), name("b")}  # whoever asks is told why no claim is granted
    desk.halted = False
    assert not desk.ring.names
    await desk.review()
    assert desk.worker.signed == [name("a"), name("b")]
    assert desk.ring.names == {name("a"), name("b")}


async def test_the_others_of_the_token_prove_nothing_again_but_the_next_activation_does(desk) -> None:
    await desk.know("a")
    await desk.know("a")
    assert desk.worker.signed == [name("a")]
    desk.ring.expect()
    await desk.know("a")
    assert desk.worker.signed == [name("a")] * 2


async def test_a_key_that_wants_its_pin_each_time_signs_no_probe(desk) -> None:
    key = FoundKey("a", b"a", KeyKind.P_256, b"a", (), True)
    await desk.ring.know(desk.worker, (key,), logged_in=True)
    assert not desk.worker.signed
    assert desk.ring.names == {name("a")}
