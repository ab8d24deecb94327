"""Which folders may be used, and that writing leaves the right modes."""

import os

import pytest

from segel_softhsm import Testbed, TestbedError, layout
from segel_softhsm.record import read_record


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.odt").write_text("years of work")
    with pytest.raises(TestbedError, match="is not a testbed"):
        layout.claim(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TestbedError, match="cannot be used"):
        layout.claim(tmp_path / "file")


def test_starting_over_leaves_the_files_of_others(tmp_path):
    layout.start_over(tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    (tmp_path / layout.DESCRIPTION).write_text("{}")
    (tmp_path / layout.KEYS / "old.pem").touch()
    layout.start_over(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert not (tmp_path / layout.DESCRIPTION).exists()
    assert not list((tmp_path / layout.KEYS).iterdir())


def test_starting_over_does_not_follow_links_out_of_the_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    bed = tmp_path / "bed"
    bed.mkdir()
    (bed / layout.KEYS).symlink_to(outside)
    layout.start_over(bed)
    assert (outside / "precious").exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_modes_do_not_depend_on_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        layout.make_private(tmp_path / "folder")
        layout.replace(tmp_path / "secret", b"1234")
    finally:
        os.umask(before)
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"tokens": [], "pki": {}}', '{"version": 99}'],
    ids=["empty", "cut", "array", "incomplete", "newer"],
)
def test_a_broken_description_counts_as_none(tmp_path, content):
    (tmp_path / layout.DESCRIPTION).write_text(content)
    assert read_record(tmp_path) is None


def test_loading_an_unfinished_testbed_says_how_to_make_one(tmp_path):
    layout.start_over(tmp_path)
    with pytest.raises(TestbedError, match="python -m segel_softhsm"):
        Testbed.load(tmp_path)
