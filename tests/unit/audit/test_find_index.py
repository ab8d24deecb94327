"""The index of `find`: it finds what a search of everything finds, and damage to it hides nothing that is told."""

import hashlib
import random

import pytest
from audit_fakes import JOB, digest_of, fill, publish, signature_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segeld.audit import find
from segeld.audit.find_index import FILE, IndexBusy, IndexWriter, candidates
from segeld.audit.reader import open_log_folder
from segeld.model.names import JobName


def by_signature(log, number, **how):
    wanted = hashlib.sha256(signature_of(number)).digest()
    return [(item.chunk.outcome_leaf, item.position) for item in find.items(log, signature=wanted, **how)]


def test_the_daemon_covers_every_full_bundle(made):
    log = open_log_folder(made.folder, None)
    assert candidates(made.folder, made.origin, (b"\0" * 32,))[0] == log.checkpoint.size // 256 == 3


def test_the_index_and_everything_agree(made):
    log = open_log_folder(made.folder, None)
    random.seed(7)
    for first in [0, *random.sample(range(0, 40_000, 100), 40)]:
        for number in (first, first + 1, first + 2):
            wanted = made.commitments.of(digest_of(number))
            found = [item.chunk.outcome_leaf for item in find.items(log, commitment=wanted)]
            assert found == [
                item.chunk.outcome_leaf for item in find.items(log, commitment=wanted, everything=True)
            ]
            assert by_signature(log, number) == by_signature(log, number, everything=True)
    job = JobName(JOB)
    assert list(find.of_job(log, job)) == list(find.of_job(log, job, everything=True)) != []


def test_only_likely_bundles_are_read(made, monkeypatch):
    log = open_log_folder(made.folder, None)
    (expected,) = by_signature(log, 101)
    read = []
    real = type(log.tiles).leaves
    monkeypatch.setattr(
        type(log.tiles), "leaves", lambda tiles, number: read.append(number) or real(tiles, number)
    )
    assert by_signature(log, 101) == [expected]
    assert set(read) <= {expected[0] // 256, 3}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0), bit=st.integers(0, 7), cut=st.booleans())
def test_damage_is_noticed_and_mended(made, at, bit, cut):
    path = made.folder / FILE
    whole = path.read_bytes()
    at %= len(whole)
    path.write_bytes(whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    log = open_log_folder(made.folder, None)
    for number in (100, 1_901, 2_202):
        assert by_signature(log, number) == by_signature(log, number, everything=True) != []
    writer = IndexWriter.open(made.folder, made.origin)
    writer.catch_up(log.tiles)
    writer.close()
    assert path.read_bytes() == whole


def test_another_logs_index_covers_nothing(made):
    assert candidates(made.folder, "segel/other", (b"\0" * 32,)) == (0, [])


def test_one_writer_at_a_time(made):
    writer = IndexWriter.open(made.folder, made.origin)
    with pytest.raises(IndexBusy):
        IndexWriter.open(made.folder, made.origin)
    writer.close()


def test_a_log_without_index_gets_one(made, source):
    (made.folder / FILE).unlink()
    log = open_log_folder(made.folder, None)
    assert by_signature(log, 100)
    fill(source, made, 1)
    publish(source, made)
    assert candidates(made.folder, made.origin, ())[0] == 3
