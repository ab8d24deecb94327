"""`segelctl audit tail --follow` from another machine: across lost connections, and never into another log."""

import contextlib
from types import SimpleNamespace

import pytest

from segel import errors
from segeld.audit.merkle import inclusion_proof, leaf_hash, root_of
from segeld.audit.note import to_base64
from segeld.audit.proof import BadProof, Proof
from segeld.ctl import audit_follow
from segeld.ctl.audit_follow import Follower, Pace

LOST = errors.ConnectionFailed("no connection", reason="", code="UNAVAILABLE")


class Over(Exception):
    """The test has seen enough."""


class FakeLog:
    """A daemon's log. `scene` is called before each look, and may change everything, or raise."""

    def __init__(self, count: int, scene) -> None:
        self.origin = "segel/a"
        self.leaves = [b"leaf %d" % number for number in range(count)]
        self.scene = scene
        self.looks = 0

    def note(self) -> bytes:
        root = root_of([leaf_hash(one) for one in self.leaves])
        return f"{self.origin}\n{len(self.leaves)}\n{to_base64(root)}\n\n".encode()

    async def state(self, *, patient=True):
        self.looks += 1
        if self.looks > 50:
            raise Over
        self.scene(self, self.looks)
        return SimpleNamespace(checkpoint=self.note() if self.leaves else b"")

    async def entries(self, first, count):
        for index in range(first, min(first + count, len(self.leaves))):
            yield index, self.leaves[index]

    async def prove(self, index):
        def nodes(height, at):
            return root_of([leaf_hash(one) for one in self.leaves[at << height : (at + 1) << height]])

        hashes = inclusion_proof(index, len(self.leaves), nodes)
        return Proof(index, self.leaves[index], hashes, self.note()).text()


class Followed:
    """What came of following."""

    def __init__(self, monkeypatch, count: int, scene) -> None:
        self.log = FakeLog(count, scene)
        self.shown: list[int] = []
        self.said: list[str] = []
        self.slept: list[float] = []
        self.connected = 0

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        monkeypatch.setattr(audit_follow.asyncio, "sleep", sleep)

    @contextlib.asynccontextmanager
    async def connect(self):
        self.connected += 1
        yield SimpleNamespace(log=self.log)

    async def run(self, count: int = 2) -> None:
        follower = Follower(lambda index, _: self.shown.append(index), self.said.append, Pace(0.1, 1.0, 5.0))
        await follower.follow(self.connect, count)


async def test_lost_and_found_again(monkeypatch):
    def scene(log, look):
        if look == 3 or 5 <= look <= 9:
            raise LOST
        if look == 10:
            log.leaves += [b"new", b"and more"]
        if look == 12:
            raise Over

    followed = Followed(monkeypatch, 5, scene)
    with pytest.raises(Over):
        await followed.run()
    assert followed.shown == [3, 4, 5, 6]
    again = f"{str(LOST).rstrip('.')}; trying again until it is back"
    assert [one for one in followed.said if "trying" in one] == [again] * 2
    assert [one for one in followed.said if "going on" in one] == [
        "connected again, and going on with leaf 5"
    ] * 2
    assert [one for one in followed.slept if one != 0.1] == [1.0, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert followed.connected == 7


@pytest.mark.parametrize("error", [LOST, errors.NotAllowed("no", reason="", code="PERMISSION_DENIED")])
async def test_what_is_not_waited_for(monkeypatch, error):
    """There never was a connection; or it is there, and says no."""

    def scene(_log, look):
        if look == (1 if error is LOST else 3):
            raise error

    followed = Followed(monkeypatch, 5, scene)
    with pytest.raises(type(error)):
        await followed.run()
    assert followed.said == []


def smaller(log) -> None:
    del log.leaves[4:]


def another(log) -> None:
    log.origin = "segel/b"


def rewritten(log) -> None:
    log.leaves[1] = b"something else"


def rewritten_and_longer(log) -> None:
    rewritten(log)
    log.leaves.append(b"new")


def lost_all(log) -> None:
    log.leaves.clear()


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        (smaller, "it had 5 leaves, and now it has 4: it was put back"),
        (another, "another log, segel/b"),
        (rewritten, "its first 5 leaves are not those"),
        (rewritten_and_longer, "its first 5 leaves are not those"),
        (lost_all, "it had 5 leaves, and now there is no log"),
    ],
)
async def test_another_log_is_not_followed(monkeypatch, change, text, lost):
    def scene(log, look):
        if look == 3:
            change(log)
            if lost:
                raise LOST

    followed = Followed(monkeypatch, 5, scene)
    with pytest.raises(BadProof, match=text):
        await followed.run()
    assert followed.shown == [3, 4]
    assert not any("going on" in one for one in followed.said)


async def test_a_log_that_begins(monkeypatch):
    def scene(log, look):
        if look == 3:
            log.leaves += [b"first", b"second", b"third"]
        if look == 4:
            raise Over

    followed = Followed(monkeypatch, 0, scene)
    with pytest.raises(Over):
        await followed.run()
    assert followed.shown == [0, 1, 2]
