"""What `sha256sum` writes, and what it does not."""

import hashlib
import subprocess

import pytest

from segel.cli.digest_lines import digest_lines, item_id
from segel.cli.failures import UsageError
from segel.cli.job_request import RequestId

DIGEST = hashlib.sha256(b"letter").digest()
HEX = DIGEST.hex()


def read(*lines: bytes, size: int = 32):
    return list(digest_lines(lines, size, "digests.txt"))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"{HEX}\n".encode(), ""),
        (HEX.encode(), ""),
        (f"{HEX}\r\n".encode(), ""),
        (f"{HEX.upper()}\n".encode(), ""),
        (f"{HEX}  a.pdf\n".encode(), "a.pdf"),
        (f"{HEX} *a.pdf\n".encode(), "a.pdf"),
        (f"{HEX}   two  spaces \n".encode(), " two  spaces "),
        (f"{HEX}  surat résmi.pdf".encode(), "surat résmi.pdf"),
        (f"\\{HEX}  back\\\\slash\\nand\\rline\n".encode(), "back\\slash\nand\rline"),
        (f"{HEX}  not\\nescaped\n".encode(), "not\\nescaped"),
        (f"{HEX}  ".encode() + b"\xff.pdf\n", "\\xff.pdf"),
        (f"{HEX}  {'x' * 128}\n".encode(), "x" * 128),
        (f"{HEX}  {'x' * 129}\n".encode(), ""),
        (f"{HEX}  -\n".encode(), "-"),
    ],
)
def test_forms(line, name):
    assert read(line) == [(name, DIGEST)]


def test_what_sha256sum_itself_writes(tmp_path):
    names = ["plain", "with space", "new\nline", "back\\slash"]
    for name in names:
        (tmp_path / name).write_bytes(b"letter")
    for option in ("--text", "--binary"):
        said = subprocess.run(
            ["sha256sum", option, *names], cwd=tmp_path, capture_output=True, check=True
        ).stdout
        assert read(*said.splitlines(keepends=True)) == [(name, DIGEST) for name in names]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\n", "neither 64 hexadecimal digits"),
        (b"# comment\n", "neither 64 hexadecimal digits nor a line of sha256sum: '# comment'"),
        (f"{HEX}a.pdf\n".encode(), "neither"),
        (f"{HEX}  \n".encode(), "neither"),
        (f"{HEX}0\n".encode(), "neither"),
        (f"{HEX[:40]}  a.pdf\n".encode(), "a digest of 20 octets; this key and algorithm want 32"),
        (f"{HEX}{HEX}  a.pdf\n".encode(), "a digest of 64 octets"),
        (("ü" * 32 + "\n").encode(), "neither"),
    ],
)
def test_a_wrong_line_is_named(line, text):
    with pytest.raises(UsageError, match=r"digests\.txt: line 3: ") as caught:
        read(f"{HEX}\n".encode(), f"{HEX}  a\n".encode(), line)
    assert text in str(caught.value)


def test_names_of_files_as_ids():
    assert item_id("a.pdf") == "a.pdf"
    assert item_id("ü" * 65) == ""
    assert item_id("\udcff") == "\\xff"


def test_the_request_id_is_a_contract():
    """Another value here would make second jobs of what was submitted by an older version."""
    name = RequestId("keys/seal", "ECDSA_P256_SHA256", "der")
    name.take_all([("a.pdf", DIGEST), ("", DIGEST)])
    assert name.count == 2
    assert name.name == "segel-job-52627598c308993be536557d51558dff9ff5cd00fca230b7012d8aadd444f9c1"


def test_request_ids_differ_where_the_jobs_do():
    names = set()
    for how in (("k", "A", "der"), ("k", "A", "p1363"), ("k2", "A", "der"), ("k", "A", "der", b"salt")):
        for items in ([("", DIGEST)], [("a", DIGEST)], [("", DIGEST)] * 2):
            name = RequestId(*how)
            name.take_all(items)
            names.add(name.name)
    assert len(names) == 12


def test_items_that_changed_in_between():
    name = RequestId("k", "A", "der")
    name.take_all([("", DIGEST)])
    assert list(name.again([("", DIGEST)])) == [("", DIGEST)]
    with pytest.raises(UsageError, match="changed"):
        list(name.again([("", bytes(32))]))
