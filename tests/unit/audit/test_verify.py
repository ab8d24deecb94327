"""Verification finds whatever was changed; and a second verifier, which shares no code with it, agrees."""

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from audit_fakes import FakeSource, chunk, fill, publish
from independent import Wrong, check

from segeld.audit.identity import open_log
from segeld.audit.leaf import Act, Opened, Outcome, PartRange, encode
from segeld.audit.merkle import EMPTY_ROOT
from segeld.audit.tiles import LogUnreadable
from segeld.audit.verify import verify


def both(log, folder=None):
    """What the verifier says, once it is sure that the other one comes to the same verdict."""
    folder = folder or log.folder
    report = verify(folder, log.signer.verifier)
    try:
        check(folder, str(log.signer.verifier))
    except Wrong:
        assert not report.is_good
    else:
        others = [one for one in report.problems if one.path not in {"key.pub", "previous"}]
        assert not others, others
    return report


def texts(report) -> str:
    return "\n".join(map(str, report.problems))


def test_every_changed_byte_is_found(made):
    random.seed(6962)
    paths = [path for path in made.folder.rglob("*") if path.is_file() and path.name != "index"]
    sizes = [path.stat().st_size for path in paths]
    small = [path for path in paths if path.stat().st_size < 1000]
    for number in range(1000):
        path = random.choices(paths, sizes)[0] if number % 2 else random.choice(small)
        before = path.read_bytes()
        at, bit = random.randrange(len(before)), 1 << random.randrange(8)
        path.write_bytes(before[:at] + bytes([before[at] ^ bit]) + before[at + 1 :])
        report = both(made) if number % 10 == 0 else verify(made.folder, made.signer.verifier)
        path.write_bytes(before)
        name = path.relative_to(made.folder).as_posix()
        assert not report.is_good, (name, at, bit)
        assert all(isinstance(str(problem), str) for problem in report.problems)
        if name == "salt":
            assert [one.path for one in report.problems] == ["salt"]
            assert "not this log's salt" in texts(report)
        elif name != "checkpoint":
            assert name in {one.path for one in report.problems}, (name, texts(report))
    assert both(made).is_good


@pytest.mark.parametrize("name", ["tile/0/001", "tile/entries/001", "tile/0/003.p/73", "tile/1/000.p/3"])
@pytest.mark.parametrize("how", ["cut", "empty", "gone", "longer"])
def test_a_file_that_is_not_whole(made, name, how):
    path = made.folder / name
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": data[:-1], "empty": b"", "longer": data + data[-32:]}[how])
    report = both(made)
    assert name in {one.path for one in report.problems}, texts(report)


def test_swapped_tiles(made):
    one, other = (made.folder / f"tile/0/{number}" for number in ("000", "001"))
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert "its hash here was changed; the leaf itself is as it was signed" in texts(both(made))


def test_swapped_bundles(made):
    one, other = (made.folder / f"tile/entries/{number}" for number in ("001", "002"))
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert "it was changed after it was signed" in texts(both(made))


def test_leaf_and_tiles_changed_together(made, source, tmp_path):
    """A log that was made again with another leaf is whole in itself, and yet not what was signed."""
    state = tmp_path / "other"
    state.mkdir()
    other, leaves = open_log(state, made.origin), FakeSource()
    shutil.copy(made.folder / "salt", other.folder / "salt")
    fill(leaves, open_log(state), 400)
    leaves.kept[500] = encode(Act(5, "nothing happened", "", ""))
    publish(leaves, open_log(state))
    shutil.copytree(other.folder / "tile", made.folder / "tile", dirs_exist_ok=True)
    assert "have not the root that the checkpoint was signed with" in texts(both(made))


def test_another_logs_checkpoint(made, tmp_path):
    state = tmp_path / "other"
    state.mkdir()
    other, leaves = open_log(state), FakeSource()
    fill(leaves, other, 5)
    publish(leaves, other)
    shutil.copy(other.folder / "checkpoint", made.folder / "checkpoint")
    assert f"it is of another log: {other.origin}, where {made.origin} is expected" in texts(both(made))


def test_a_checkpoint_with_another_key(made, tmp_path):
    state = tmp_path / "other"
    state.mkdir()
    other, leaves = open_log(state, made.origin), FakeSource()
    fill(leaves, other, 5)
    publish(leaves, other)
    shutil.copy(other.folder / "checkpoint", made.folder / "checkpoint")
    assert "it is not signed with this key" in texts(both(made))


def test_a_checkpoint_of_a_smaller_tree(log, source):
    """Going back is not visible in the files alone: they are a log, and were signed."""
    fill(source, log, 10)
    publish(source, log)
    note = (log.folder / "checkpoint").read_bytes()
    fill(source, log, 10)
    publish(source, log)
    (log.folder / "checkpoint").write_bytes(note)
    report = verify(log.folder, log.signer.verifier)
    assert (report.problems, report.size) == ([], 22)


def leaves_of(log, *made) -> FakeSource:
    source = FakeSource()
    source.record(log.opened(1), *made)
    publish(source, log)
    return source


def outcome(intent: int, of: Outcome, **changes) -> Outcome:
    values = {name: getattr(of, name) for name in of.__struct_fields__}
    return Outcome(**values | {"intent": intent} | changes)


def test_meaning(log):
    intent, good = chunk(log.commitments, 1, 0, 3)(1)
    _, two_left = chunk(log.commitments, 1, 0, 3, ((0, "UNKNOWN"), (2, "NOT_BEGUN")))(1)
    cases = {
        "two outcomes": (
            (intent, good, good),
            "leaf 3, tile/entries/000.p/4: intent 1 has an outcome already",
        ),
        "later": ((intent, outcome(7, good)), "names leaf 7 as its intent, which is not before it"),
        "itself": ((intent, outcome(2, good)), "names leaf 2 as its intent, which is not before it"),
        "negative": ((intent, outcome(-1, good)), "names leaf -1"),
        "no intent": ((intent, outcome(0, good)), "names leaf 0 as its intent, which is none"),
        "fewer": (
            (intent, outcome(1, good, commitments=good.commitments[:64])),
            "it has commitments to 2 inputs; intent 1 has 3",
        ),
        "signatures": (
            (intent, outcome(1, good, signatures=good.signatures[:64])),
            "2 signatures where 3 are expected",
        ),
        "order": (
            (intent, outcome(1, two_left, unsigned=((2, "A"), (0, "B")))),
            "do not ascend, or are out of range",
        ),
        "range": ((intent, outcome(1, two_left, unsigned=((0, "A"), (3, "B")))), "or are out of range"),
        "twice": ((intent, outcome(1, two_left, unsigned=((0, "A"), (0, "B")))), "do not ascend"),
        "opened again": ((Opened(1, log.origin),), "and this one opens it again"),
        "garbage": ((b"\x93\x09\x01",), "it is no leaf that this version knows"),
    }
    for what, (leaves, text) in cases.items():
        shutil.rmtree(log.folder / "tile", ignore_errors=True)
        (log.folder / "checkpoint").unlink(missing_ok=True)
        leaves_of(log, *leaves)
        assert text in texts(both(log)), what


def test_other_inputs_than_announced(log):
    good = chunk(log.commitments, 1, 0, 3)
    intent, other = chunk(log.commitments, 1, 50, 3)(1)[0], good(1)[1]
    leaves_of(log, intent, other, *good(3))
    report = both(log)
    assert (
        texts(report)
        == "leaf 2, tile/entries/000.p/5: what was signed is not what its intent announced: the inputs differ"
    )


@pytest.mark.parametrize(("first", "text"), [
    (Act(1, "daemon started", "", ""), "leaf 0, tile/entries/000.p/1: the first leaf does not open the log"),
    (Opened(1, "segel/other"), "it opens the log segel/other, not segel/"),
])  # fmt: skip
def test_first_leaf(log, source, first, text):
    source.record(first)
    publish(source, log)
    assert text in texts(both(log))


def test_intents_without_outcome_are_a_warning(log, source):
    fill(source, log, 2)
    source.record(chunk(log.commitments, 1, 5000, 2)(source.count)[0])
    publish(source, log)
    report = both(log)
    assert report.is_good
    assert report.unfinished == [5]
    assert report.warnings[0].startswith("1 intents have no outcome")


def test_several_parts(log):
    parts = (PartRange(b"request-1", 0, 1), PartRange(b"", 7, 2))
    leaves_of(log, *chunk(log.commitments, 1, 0, 3, parts=parts)(1))
    assert both(log).is_good


def test_without_the_salt(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made.folder, copy, ignore=shutil.ignore_patterns("salt", "key.pub"))
    report = both(made, copy)
    assert report.is_good
    assert report.warnings == [
        "the salt is not in this copy: whether what was signed is what the intents announced was not checked"
    ]


def test_a_salt_that_is_cut(made):
    (made.folder / "salt").write_bytes(bytes(31))
    assert texts(verify(made.folder, made.signer.verifier)) == "salt: it has 31 octets where 32 are expected"


def test_files_that_do_not_belong_there(made):
    (made.folder / "tile/0/009").write_bytes(b"")
    report = both(made)
    assert report.is_good
    assert "1 file here is no part of this log of 841 leaves" in report.warnings[0]


def test_no_log(made, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    cases = {
        tmp_path / "none": "there is no folder",
        empty: "is empty",
        made.folder / "tile": "has no file checkpoint",
        made.folder / "salt": "is not a folder",
    }
    for folder, text in cases.items():
        with pytest.raises(LogUnreadable, match=text):
            verify(folder, made.signer.verifier)


def test_no_permission(made, monkeypatch):
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(LogUnreadable, match=r"permission denied.*as root, or read a copy"):
        verify(made.folder, made.signer.verifier)


def test_an_empty_tree_is_no_problem_of_arithmetic(log):
    from segeld.audit.checkpoint import Checkpoint

    (log.folder / "checkpoint").write_bytes(Checkpoint(log.origin, 0, EMPTY_ROOT).sign(log.signer))
    assert verify(log.folder, log.signer.verifier).is_good


def test_while_the_daemon_writes(log, source):
    """Verifying beside a daemon that publishes finds nothing wrong."""
    from segeld.audit.publisher import Publisher

    async def run() -> None:
        fill(source, log, 300)
        publisher = Publisher(source, log, interval=0.001, every=50)
        await publisher.start()
        await publisher.publish()
        task = asyncio.create_task(publisher.run())
        for _ in range(15):
            fill(source, log, 20)
            publisher.recorded(source.count - 1)
            report = await asyncio.to_thread(verify, log.folder, log.signer.verifier)
            assert report.problems == []
        await publisher.aclose()
        await task

    asyncio.run(run())
