"""A witness sees what files alone cannot show: a log that was put back."""

import asyncio
import shutil
import sys

import pytest
from audit_fakes import FakeSource, fill, publish

from segeld.audit.identity import open_log, set_aside
from segeld.audit.merkle import root_at
from segeld.audit.publisher import Publisher
from segeld.audit.reader import open_log_folder
from segeld.audit.witness import Witness
from segeld.audit.witness_places import CommandPlace, FilePlace

COMMAND = """\
import pathlib, sys
kept, given = pathlib.Path(sys.argv[1]), sys.stdin.buffer.read()
if given:
    kept.write_bytes(given)
if kept.exists():
    sys.stdout.buffer.write(kept.read_bytes())
"""


@pytest.fixture(params=["file", "command"])
def place(request, tmp_path):
    kept = tmp_path / "elsewhere" / "checkpoint"
    kept.parent.mkdir()
    if request.param == "file":
        return FilePlace(kept)
    script = tmp_path / "witness.py"
    script.write_text(COMMAND)
    return CommandPlace((sys.executable, str(script), str(kept)))


def told(place, log):
    async def once() -> Witness:
        witness = Witness(place, log)
        await witness.check()
        await witness.aclose()
        return witness

    return asyncio.run(once())


def grow(source, log, state):
    fill(source, log, 100)
    publish(source, log)
    return state


@pytest.fixture
def old(log, source, state_dir, tmp_path):
    """A copy of the log's folder as it was, and the log as it is."""
    grow(source, log, None)
    shutil.copytree(log.folder, tmp_path / "old")
    grow(source, log, None)
    return tmp_path / "old"


def test_a_log_that_grows_is_well(place, log, old):
    witness = told(place, log)
    assert (witness.refusal, witness.trouble) == ("", "")
    assert asyncio.run(place.last()) == (log.folder / "checkpoint").read_bytes()
    assert told(place, log).refusal == ""
    assert witness.age is not None


def test_a_log_that_is_ahead_of_its_witness_is_well(place, log, old):
    asyncio.run(place.keep((old / "checkpoint").read_bytes()))
    assert told(place, log).refusal == ""


def test_a_log_that_was_put_back(place, log, old):
    told(place, log)
    kept = asyncio.run(place.last())
    shutil.rmtree(log.folder)
    shutil.copytree(old, log.folder)
    witness = told(place, log)
    assert "both put back to an older state" in witness.refusal
    assert not witness.can_be_adopted
    assert asyncio.run(place.last()) == kept, "the evidence was overwritten"


def test_another_log_in_its_place(place, log, old, tmp_path):
    told(place, log)
    (tmp_path / "other").mkdir()
    witness = told(place, open_log(tmp_path / "other"))
    assert "was put in its place" in witness.refusal
    assert witness.can_be_adopted


def test_a_log_that_was_made_anew_with_the_same_key(place, log, old, state_dir):
    told(place, log)
    salt = (log.folder / "salt").read_bytes()
    for name in ("tile", "checkpoint", "index"):
        path = log.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert (log.folder / "salt").read_bytes() == salt
    source = FakeSource()
    source.record(log.opened(1))
    fill(source, log, 300, count=4)
    publish(source, log)
    assert "made anew" in told(place, log).refusal


def test_what_is_no_checkpoint(place, log, old):
    asyncio.run(place.keep(b"a letter\n"))
    assert "no checkpoint" in told(place, log).refusal


def test_a_restored_log_continues_what_the_witness_knows(place, log, old, state_dir):
    told(place, log)
    following = set_aside(state_dir)
    assert following.previous
    assert told(place, following).refusal == ""


def test_a_mount_that_is_gone(tmp_path, log, old):
    witness = told(FilePlace(tmp_path / "nowhere" / "checkpoint"), log)
    assert witness.refusal == ""
    assert "cannot be reached" in witness.trouble
    assert not (tmp_path / "nowhere").exists()
    assert "cannot be reached" in told(CommandPlace(("/bin/false",)), log).trouble


def test_the_root_of_any_beginning(made):
    from segeld.audit.merkle import leaf_hash, root_of

    tiles = open_log_folder(made.folder, None).tiles
    hashes = [leaf_hash(tiles.leaf(index)) for index in range(300)]
    for size in (0, 1, 2, 3, 5, 255, 256, 257, 300):
        assert root_at(size, tiles.node) == root_of(hashes[:size])


def test_a_witness_that_lost_what_it_was_given(place, log, old, source, tmp_path):
    kept = tmp_path / "elsewhere" / "checkpoint"
    remembered = []

    async def remember() -> None:
        remembered.append(True)

    async def run() -> None:
        first = Witness(place, log, remember=remember)
        await first.check()
        await first.aclose()
        assert remembered == [True]
        note = kept.read_bytes()
        kept.unlink()
        witness = Witness(place, log, witnessed=True)
        await witness.check()
        await witness.aclose()
        assert witness.refusal == ""
        assert "is its mount there?" in witness.trouble
        assert not kept.exists(), "an empty folder was taken for a new witness"
        kept.write_bytes(note)
        await witness.aclose()
        assert (witness.trouble, witness.lost) == ("", False)
        assert kept.exists()

    asyncio.run(run())


def test_a_mount_that_goes_away_while_the_daemon_runs(place, log, old, source, tmp_path):
    kept = tmp_path / "elsewhere" / "checkpoint"

    async def run() -> None:
        witness = Witness(place, log)
        await witness.check()
        await witness._tell()
        kept.unlink()
        fill(source, log, 1)
        publisher = Publisher(source, log)
        await publisher.start()
        await publisher.aclose()
        await witness._tell()
        assert "is its mount there?" in witness.trouble
        assert not kept.exists()
        await witness.adopt()
        assert kept.read_bytes() == (log.folder / "checkpoint").read_bytes()
        assert witness.trouble == ""

    asyncio.run(run())
