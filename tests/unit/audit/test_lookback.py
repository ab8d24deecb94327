"""What earlier logs record after a backup: found by their checkpoints, read from the backup on, and believed if signed."""

import shutil

import pytest
from audit_fakes import FakeSource, fill, publish

from segeld.audit.identity import set_aside
from segeld.audit.leaf import Act
from segeld.audit.lookback import Lookback, Lost
from segeld.audit.reader import open_log_folder

REVOKED = Act(1_790_000_000_900, "caller revoked", "siti", "backoffice", {"why": "its laptop was stolen"})


@pytest.fixture
def ended(source, log, state_dir):
    """A log of 600 chunks, with one act more after its leaf 900; the next has begun."""
    fill(source, log, 430)
    source.record(REVOKED)
    fill(source, log, 180)
    publish(source, log)
    return set_aside(state_dir, restored=log.origin)


def looked(log, state_dir, of, first):
    back = Lookback(state_dir, log.previous, of, first)
    acts = [(where.index, act) for where, act in back.acts()]
    return acts, back.troubles


def verified(folder):
    """Every leaf."""
    log = open_log_folder(folder, None)
    return [(index, log.leaf(index)) for index in range(log.checkpoint.size)]


def aside(state_dir):
    (folder,) = state_dir.glob("audit-*")
    return folder


@pytest.mark.parametrize("first", [0, 1, 255, 256, 700, 904, 905])
def test_only_acts_after_the_backup_are_told_and_in_order(ended, source, state_dir, log, first):
    acts, troubles = looked(ended, state_dir, log.origin, first)
    assert troubles == []
    written = verified(aside(state_dir))
    assert acts == [(index, leaf) for index, leaf in written if isinstance(leaf, Act) and index >= first]
    assert ((904, REVOKED) in acts) == (first <= 904)


def test_nothing_came_after_it(ended, source, state_dir, log):
    assert looked(ended, state_dir, log.origin, source.count) == ([], [])


def test_what_was_changed_afterwards_is_not_what_was_signed(ended, state_dir, log):
    bundle = aside(state_dir) / "tile/entries/003"
    bundle.write_bytes(bundle.read_bytes().replace(b"backoffice", b"backoffise"))
    acts, troubles = looked(ended, state_dir, log.origin, 700)
    assert any(act.subject == "backoffise" for _, act in acts)
    assert [trouble for trouble in troubles if "was changed" in trouble]


def test_what_is_missing_is_said_and_the_rest_is_still_proven(ended, state_dir, log):
    (aside(state_dir) / "tile/entries/004").unlink()
    acts, troubles = looked(ended, state_dir, log.origin, 700)
    assert (904, REVOKED) in acts
    (trouble,) = troubles
    assert "tile/entries/004" in trouble
    (aside(state_dir) / "tile/0/004").unlink()
    assert len(looked(ended, state_dir, log.origin, 700)[1]) == 1
    (aside(state_dir) / "tile/0/001").unlink()
    acts, troubles = looked(ended, state_dir, log.origin, 700)
    assert (904, REVOKED) in acts
    assert any("tile/0/001" in trouble for trouble in troubles)


def test_leaves_before_the_backup_are_not_read(ended, state_dir, log):
    for number in range(2):
        (aside(state_dir) / f"tile/entries/00{number}").unlink()
    acts, troubles = looked(ended, state_dir, log.origin, 700)
    assert troubles == []
    assert (904, REVOKED) in acts


def test_a_second_restore_of_one_backup_looks_through_both_logs(ended, state_dir, log):
    second = FakeSource()
    second.record(ended.opened(1), Act(2, "key disabled", "siti", "keys/sha256-00"))
    publish(second, ended)
    third = set_aside(state_dir, restored=log.origin)
    acts, troubles = looked(third, state_dir, log.origin, 904)
    assert troubles == []
    assert acts[0] == (904, REVOKED)
    assert acts[-1] == (1, Act(2, "key disabled", "siti", "keys/sha256-00"))


def test_a_log_that_is_gone_or_another_is_lost(ended, state_dir, log):
    with pytest.raises(Lost, match="no log that is kept continues segel/other"):
        Lookback(state_dir, ended.previous, "segel/other", 5)
    with pytest.raises(Lost, match="no log that is kept continues"):
        Lookback(state_dir, "", log.origin, 5)
    with pytest.raises(Lost, match="before the backup"):
        Lookback(state_dir, ended.previous, log.origin, 10_000)
    folder = aside(state_dir)
    key = folder / "key.pub"
    saved = key.read_text()
    key.write_text((state_dir / "audit/key.pub").read_text())
    with pytest.raises(Lost, match=folder.name):
        Lookback(state_dir, ended.previous, log.origin, 5)
    key.write_text(saved)
    shutil.rmtree(folder)
    with pytest.raises(Lost, match="is not in"):
        Lookback(state_dir, ended.previous, log.origin, 5)
