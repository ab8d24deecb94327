"""The log's own files: made once, whole or not at all, and set aside for a restore."""

import functools
import os
import shutil
import stat

import pytest
from audit_fakes import FakeSource, fill, publish
from independent import check

from segeld.audit import identity
from segeld.audit.checkpoint import Checkpoint
from segeld.audit.identity import LogIncomplete, open_log, prepare_next, set_aside
from segeld.audit.note import BadNote, Signer, Verifier
from segeld.audit.verify import verify


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_start_and_the_next(state_dir):
    log = open_log(state_dir)
    assert log.origin.startswith("segel/")
    assert len(log.origin) == len("segel/") + 16
    assert sorted(path.name for path in state_dir.iterdir()) == ["audit", "audit.key"]
    assert sorted(path.name for path in log.folder.iterdir()) == ["key.pub", "salt"]
    assert mode(state_dir / "audit.key") == mode(log.folder / "salt") == 0o600
    assert (log.folder / "key.pub").read_text() == f"{log.signer.verifier}\n"
    again = open_log(state_dir)
    assert again.signer.verifier == log.signer.verifier
    assert again.commitments.of(b"x") == log.commitments.of(b"x")
    assert again.opened(7).origin == log.origin
    assert again.opened(7).previous == ""


def test_that_records_are_sealed_is_written_down_once_and_stays(state_dir):
    log = open_log(state_dir)
    assert log.records_sealed
    key = state_dir / "audit.key"
    key.write_bytes(b"".join(key.read_bytes().splitlines(keepends=True)[:3]))  # as earlier versions wrote it
    older = open_log(state_dir)
    assert not older.records_sealed
    identity.note_records_sealed(state_dir)
    assert mode(key) == 0o600
    again = open_log(state_dir)
    assert again.records_sealed
    assert again.signer.verifier == log.signer.verifier
    assert set_aside(state_dir).records_sealed


def test_an_origin_of_ones_own(state_dir):
    assert open_log(state_dir, "jateng.go.id/seal").origin == "jateng.go.id/seal"
    assert open_log(state_dir, "other").origin == "jateng.go.id/seal"


@pytest.mark.parametrize("name", ["with space", "a+b", "", "a\nb"])
def test_no_name_for_a_log(log, name):
    with pytest.raises(BadNote, match="no name"):
        Signer(name, log.signer._key)


class Stopping:
    """Ends everything at one of the file operations."""

    def __init__(self, patch: pytest.MonkeyPatch, failing: int) -> None:
        self._left = failing
        for name in ("open", "write", "fsync", "replace", "rename", "mkdir"):
            patch.setattr(os, name, functools.partial(self._operation, getattr(os, name)))

    def _operation(self, real, *arguments, **named):
        self._left -= 1
        if self._left <= 0:
            raise KeyboardInterrupt
        return real(*arguments, **named)


def test_stopped_while_it_is_made(tmp_path):
    for failing in range(1, 100):
        state = tmp_path / str(failing)
        state.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            Stopping(patch, failing)
            try:
                open_log(state)
            except KeyboardInterrupt:
                done = False
            else:
                done = True
        log = open_log(state)
        assert log.signer.verifier == open_log(state).signer.verifier
        assert sorted(path.name for path in state.iterdir()) == ["audit", "audit.key"]
        if done:
            break
    assert failing > 20


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda state: (state / "audit").rename(state / "gone"), "audit is gone, though"),
        (lambda state: (state / "audit.key").unlink(), "cannot be used"),
        (lambda state: (state / "audit.key").write_text("x"), "cannot be used"),
        (lambda state: (state / "audit/salt").unlink(), "cannot be used"),
        (lambda state: (state / "audit/salt").write_bytes(b"x"), "has 1 octet;"),
        (lambda state: (state / "audit/key.pub").unlink(), "key.pub is missing"),
        (lambda state: (state / "audit/key.pub").write_text("x"), "no public key of a log"),
    ],
)
def test_parts_are_missing(state_dir, log, change, text):
    change(state_dir)
    with pytest.raises(LogIncomplete, match=text):
        open_log(state_dir)


def test_a_key_of_another_log(state_dir, log, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    open_log(other)
    (state_dir / "audit.key").write_bytes((other / "audit.key").read_bytes())
    with pytest.raises(LogIncomplete, match="is not the private key of"):
        open_log(state_dir)


def test_set_aside(made, state_dir, source):
    old = made.signer.verifier
    note = (made.folder / "checkpoint").read_bytes()
    new = set_aside(state_dir)
    assert new.origin != made.origin
    aside = state_dir / f"audit-{made.origin.removeprefix('segel/')}-841"
    assert verify(aside, old).is_good
    assert new.opened(5).previous.encode() == note
    assert Checkpoint.open(new.opened(5).previous.encode(), old).size == 841
    fresh = FakeSource()
    fill(fresh, open_log(state_dir), 20)
    publish(fresh, open_log(state_dir))
    report = verify(new.folder, new.signer.verifier)
    assert report.is_good
    assert report.previous.encode() == note
    assert check(new.folder, str(new.signer.verifier))[0][3].encode() == note
    (new.folder / "previous").write_text("other")
    assert "not what the first leaf says of the earlier log" in str(
        verify(new.folder, new.signer.verifier).problems
    )


def test_set_aside_before_anything_was_published(state_dir, log):
    new = set_aside(state_dir)
    assert new.previous == ""
    assert (state_dir / f"audit-{log.origin.removeprefix('segel/')}-0").is_dir()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda state: shutil.rmtree(state / "audit"), None),
        (
            lambda state: [path.unlink() for path in (state / "audit").rglob("*") if path.is_file()],
            "audit-2*",
        ),
        (lambda state: (state / "audit/checkpoint").unlink(), "audit-????????????????-2*"),
        (lambda state: (state / "audit/checkpoint").write_bytes(b"\xff"), "audit-????????????????-2*"),
        (lambda state: (state / "audit/key.pub").unlink(), "audit-*-841"),
        (lambda state: (state / "audit/salt").unlink(), "audit-*-841"),
        (lambda state: (state / "audit.key").unlink(), "audit-*-841"),
    ],
)
def test_set_aside_what_is_left(made, state_dir, change, name):
    change(state_dir)
    new = set_aside(state_dir, restored=made.origin)
    assert new.origin != made.origin
    assert new.restored == made.origin
    assert bool(new.previous) == (name == "audit-*-841")
    assert open_log(state_dir).signer.verifier == new.signer.verifier
    assert list(state_dir.glob("audit-*")) == (list(state_dir.glob(name)) if name else [])
    assert len(list(state_dir.iterdir())) == (3 if name else 2)


def test_what_is_prepared_can_be_dropped(made, state_dir):
    prepare_next(state_dir).drop()
    assert sorted(path.name for path in state_dir.iterdir()) == ["audit", "audit.key"]


@pytest.mark.parametrize("step", ["_finish", "_load"])
def test_setting_aside_is_finished_at_the_next_start(made, state_dir, monkeypatch, step):
    note = (made.folder / "checkpoint").read_text()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity, step, stop)
        with pytest.raises(KeyboardInterrupt):
            set_aside(state_dir)
    assert open_log(state_dir).previous == note
    assert open_log(state_dir).origin != made.origin


@pytest.mark.parametrize("at", range(3))
def test_a_disk_that_fails_while_the_old_log_is_set_aside(made, state_dir, monkeypatch, at):
    following, left = prepare_next(state_dir), [at]
    real = identity.files.sync

    def failing(folders):
        if not left[0]:
            raise OSError(5, "Input/output error")
        left[0] -= 1
        real(folders)

    monkeypatch.setattr(identity.files, "sync", failing)
    with pytest.raises(OSError, match="Input/output"):
        following.begin()
    monkeypatch.undo()
    if not at:  # the old private key is still there
        following.drop()
        assert open_log(state_dir).origin == made.origin
        assert sorted(path.name for path in state_dir.iterdir()) == ["audit", "audit.key"]
    else:
        assert open_log(state_dir).origin != made.origin
        assert following.aside.is_dir()


def test_what_others_can_read(made, state_dir):
    assert identity.exposed(made.folder) == []
    (state_dir / "audit.key").chmod(0o640)
    (made.folder / "salt").chmod(0o644)
    assert identity.exposed(made.folder) == [state_dir / "audit.key", made.folder / "salt"]
    (made.folder / "salt").chmod(0o640)
    assert identity.exposed(made.folder) == [state_dir / "audit.key"], "auditors may be of the salt's group"


def test_nothing_left(made, state_dir):
    assert not identity.nothing_left(state_dir)
    shutil.rmtree(made.folder)
    assert not identity.nothing_left(state_dir)
    (state_dir / "audit.key").unlink()
    assert identity.nothing_left(state_dir)


def test_what_was_prepared_and_not_used_is_dropped(made, state_dir):
    identity._prepare(state_dir, None, "x", "")
    assert open_log(state_dir).origin == made.origin
    assert sorted(path.name for path in state_dir.iterdir()) == ["audit", "audit.key"]


def test_the_vkey_and_note_of_the_specification():
    key = Verifier.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert key.open(note.encode()).startswith("If you think")
    assert str(key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    with pytest.raises(BadNote, match="was changed after it"):
        key.open(note.replace("answer", "Answer").encode())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", "NAME.HASH.KEY"),
        ("a+b", "NAME.HASH.KEY"),
        ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "do not belong together"),
        ("PeterNeumann+c74f20a3+AR", "not base64"),
        ("PeterNeumann+c74f20a3+ARpc", "no Ed25519 key"),
    ],
)
def test_no_vkey(text, why):
    with pytest.raises(BadNote, match=why):
        Verifier.parse(text)
