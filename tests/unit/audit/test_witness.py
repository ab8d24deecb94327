"""A witness sees what files alone cannot show: a log that was put back."""

import shutil
import sys

import pytest
from audit_fakes import FakeSource, fill, publish

from segeld.audit.identity import open_log, set_aside
from segeld.audit.merkle import root_at
from segeld.audit.reader import open_log_folder
from segeld.audit.witness import CommandPlace, FilePlace, Witness

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


async def told(place, log):
    witness = Witness(place, log)
    await witness.check()
    await witness.aclose()
    return witness


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


async def test_a_log_that_grows_is_well(place, log, old):
    witness = await told(place, log)
    assert (witness.refusal, witness.trouble) == ("", "")
    assert await place.last() == (log.folder / "checkpoint").read_bytes()
    assert (await told(place, log)).refusal == ""
    assert witness.age is not None


async def test_a_log_that_is_ahead_of_its_witness_is_well(place, log, old):
    await place.keep((old / "checkpoint").read_bytes())
    assert (await told(place, log)).refusal == ""


async def test_a_log_that_was_put_back(place, log, old):
    await told(place, log)
    kept = await place.last()
    shutil.rmtree(log.folder)
    shutil.copytree(old, log.folder)
    witness = await told(place, log)
    assert "both put back to an older state" in witness.refusal
    assert not witness.can_be_adopted
    assert await place.last() == kept, "the evidence was overwritten"


async def test_another_log_in_its_place(place, log, old, tmp_path):
    await told(place, log)
    (tmp_path / "other").mkdir()
    witness = await told(place, open_log(tmp_path / "other"))
    assert "was put in its place" in witness.refusal
    assert witness.can_be_adopted


async def test_a_log_that_was_made_anew_with_the_same_key(place, log, old, state_dir):
    await told(place, log)
    salt = (log.folder / "salt").read_bytes()
    for name in ("tile", "checkpoint", "index"):
        path = log.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert (log.folder / "salt").read_bytes() == salt
    source = FakeSource()
    source.record(log.opened(1))
    import asyncio

    fill(source, log, 150, count=4)
    await asyncio.to_thread(publish, source, log)
    assert "made anew" in (await told(place, log)).refusal


async def test_what_is_no_checkpoint(place, log, old):
    await place.keep(b"a letter\n")
    assert "no checkpoint" in (await told(place, log)).refusal


async def test_a_restored_log_continues_what_the_witness_knows(place, log, old, state_dir):
    await told(place, log)
    following = set_aside(state_dir)
    assert following.previous
    assert (await told(place, following)).refusal == ""


async def test_a_mount_that_is_gone(tmp_path, log, old):
    witness = await told(FilePlace(tmp_path / "nowhere" / "checkpoint"), log)
    assert witness.refusal == ""
    assert "cannot be reached" in witness.trouble
    assert not (tmp_path / "nowhere").exists()
    assert "cannot be reached" in (await told(CommandPlace(("/bin/false",)), log)).trouble


def test_the_root_of_any_beginning(made):
    from segeld.audit.merkle import leaf_hash, root_of

    tiles = open_log_folder(made.folder, None).tiles
    hashes = [leaf_hash(tiles.leaf(index)) for index in range(300)]
    for size in (0, 1, 2, 3, 5, 255, 256, 257, 300):
        assert root_at(size, tiles.node) == root_of(hashes[:size])
