"""`segel sign`: files, standard input, formats, and what goes wrong."""

import errno
import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from segel import errors
from segel.cli.exit_codes import ExitCode


def verifies(signer, signature: bytes, content: bytes) -> bool:
    public = signer.private_key.public_key()
    if signer.algorithm == "ED25519":
        public.verify(signature, content)
    else:
        public.verify(signature, content, ec.ECDSA(hashes.SHA256()))
    return True


def test_signature_beside_the_file(run, client, signer):
    Path("keputusan 1 – é.xml").write_bytes(b"isi")
    answer = run("sign", "--key", "keys/seal", "keputusan 1 – é.xml")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == "keputusan 1 – é.xml\tkeputusan 1 – é.xml.sig\n"
    assert verifies(signer, Path("keputusan 1 – é.xml.sig").read_bytes(), b"isi")
    assert signer.asked == [hashlib.sha256(b"isi").digest()]
    assert client.settings[0].signing_key == "keys/seal"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_name_that_is_no_text(options, run, client):
    name = os.fsdecode(b"surat \xff.xml")
    Path(name).write_bytes(b"")
    answer = run("sign", name, *options)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert Path(name + ".sig").exists()
    if options:
        assert json.loads(answer.stdout)["file"] == name


def test_longest_names_there_are(run, client):
    name = "é" * 125
    Path(name).write_bytes(b"")
    assert run("sign", name).exit_code == 0


def test_key_from_the_environment(run, client, monkeypatch):
    monkeypatch.setenv("SEGEL_KEY", "keys/usual")
    Path("a").write_bytes(b"")
    assert run("sign", "a").exit_code == 0
    assert client.settings[0].signing_key == "keys/usual"


def test_empty_file_is_signed(run, client, signer):
    Path("a").write_bytes(b"")
    assert run("sign", "a").exit_code == 0
    assert verifies(signer, Path("a.sig").read_bytes(), b"")


def test_large_file_is_read_in_pieces(run, client, signer):
    Path("large").write_bytes(b"x" * 3_500_000)
    assert run("sign", "large").exit_code == 0
    assert verifies(signer, Path("large.sig").read_bytes(), b"x" * 3_500_000)


def test_standard_input_to_standard_output(run, client, signer):
    answer = run("sign", "-", given=b"isi")
    assert verifies(signer, answer.stdout_bytes, b"isi")
    assert answer.stderr == ""


def test_one_file_to_a_named_output(run, client, signer):
    Path("a").write_bytes(b"isi")
    assert run("sign", "a", "-o", "b.bin").exit_code == 0
    assert verifies(signer, Path("b.bin").read_bytes(), b"isi")


def test_cms_is_verified_by_openssl(run, client, root_pem):
    Path("a.txt").write_bytes(b"isi\n")
    assert run("sign", "--format", "cms", "a.txt").exit_code == 0
    command = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "a.txt.p7s",
        "-content",
        "a.txt",
    ]
    command += ["-CAfile", str(root_pem), "-purpose", "any", "-out", os.devnull]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("given", "passed"),
    [("ES256", "ECDSA_P256_SHA256"), ("EdDSA", "ED25519"), ("rsa_pss_sha384", "RSA_PSS_SHA384")],
)
def test_algorithm_by_any_of_its_names(given, passed, run, client):
    Path("a").write_bytes(b"")
    run("sign", "--algorithm", given, "--ecdsa", "p1363", "a")
    assert client.asked == [{"algorithm": passed, "ecdsa": "p1363"}]


def test_algorithm_that_there_is_not(run, client):
    Path("a").write_bytes(b"")
    answer = run("sign", "--algorithm", "MD5", "a")
    assert answer.exit_code == ExitCode.USAGE
    assert "'MD5' is no algorithm. There are RSA_PKCS1_SHA256" in answer.stderr


def test_ed25519_signs_the_file_itself(run, client, signer_for):
    client.signer_there = signer_for("ED25519")
    Path("a").write_bytes(b"isi")
    Path("just").write_bytes(bytes(65_536))
    Path("large").write_bytes(bytes(65_537))
    answer = run("sign", "a", "just", "large")
    assert answer.exit_code == ExitCode.FAILED
    assert verifies(client.signer_there, Path("a.sig").read_bytes(), b"isi")
    assert Path("just.sig").exists()
    assert not Path("large.sig").exists()
    assert (
        "error: large: Ed25519 signs the file itself, and only up to 65536 octets; use --format cms"
        in answer.stderr
    )


def test_existing_output_costs_no_signature(run, client, signer):
    Path("a").write_bytes(b"isi")
    Path("a.sig").write_bytes(b"old")
    answer = run("sign", "a")
    assert answer.exit_code == ExitCode.FAILED
    assert answer.stderr == "error: a: a.sig exists already; give --force to replace it\n"
    assert Path("a.sig").read_bytes() == b"old"
    assert signer.asked == []
    assert run("sign", "--force", "a").exit_code == 0
    assert verifies(signer, Path("a.sig").read_bytes(), b"isi")


def test_the_others_are_signed(run, client):
    for name in ("a", "b"):
        Path(name).write_bytes(b"")
    Path("folder").mkdir()
    answer = run("sign", "a", "missing", "folder", "b")
    assert answer.exit_code == ExitCode.FAILED
    assert sorted(answer.stdout.splitlines()) == ["a\ta.sig", "b\tb.sig"]
    assert sorted(answer.stderr.splitlines()) == [
        "2 of 4 signed, 2 failed; what is signed lies in this folder",
        "error: folder: is a directory",
        "error: missing: no such file or directory",
    ]


def test_json_says_what_came_of_each(run, client):
    Path("a").write_bytes(b"")
    answer = run("sign", "a", "missing", "--json")
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert sorted(lines, key=lambda line: line["file"]) == [
        {"file": "a", "output": "a.sig"},
        {"file": "missing", "error": "missing: no such file or directory", "exit_code": 1},
    ]


def test_what_would_fail_for_all_is_said_once(run, client, signer, monkeypatch):
    async def refuse(digest: bytes) -> bytes:
        raise errors.TokenNotActive("The token waits for its PIN", reason="TOKEN_NOT_ACTIVE")

    monkeypatch.setattr(signer, "sign_digest", refuse)
    names = [f"file-{number}" for number in range(200)]
    for name in names:
        Path(name).write_bytes(b"")
    answer = run("sign", *names)
    assert answer.exit_code == ExitCode.OFFICER_NEEDED
    *said, summary = answer.stderr.splitlines()
    assert 1 <= len(said) <= 32
    assert summary == f"0 of 200 signed, {len(said)} failed, {200 - len(said)} not tried"
    assert not list(Path().glob("*.sig"))
    assert not list(Path().glob(".*.part"))


def test_key_without_certificate(run, client, signer_for):
    client.signer_there = signer_for("ECDSA_P256_SHA256", chain=())
    Path("a").write_bytes(b"")
    answer = run("sign", "--format", "cms", "a")
    assert answer.exit_code == ExitCode.FAILED
    assert (
        answer.stderr == "error: keys/sha256-p256 has no certificate; ask an officer to import one for it\n"
    )


def test_p1363_is_not_for_cms(run, client):
    Path("a").write_bytes(b"")
    answer = run("sign", "--format", "cms", "--ecdsa", "p1363", "a")
    assert answer.exit_code == ExitCode.USAGE
    assert client.asked == []


def test_two_inputs_for_one_output(run, client):
    for name in ("x", "y"):
        Path(name).mkdir()
        Path(name, "a").write_bytes(b"")
    answer = run("sign", "x/a", "y/a", "--out-dir", "out")
    assert answer.exit_code == ExitCode.USAGE
    assert answer.stderr == "error: x/a and y/a would be written to out/a.sig; nothing was done\n"
    assert not Path("out").exists()


def make(count: int) -> list[str]:
    names = [f"file-{number:03}" for number in range(count)]
    for name in names:
        Path(name).write_bytes(b"")
    return names


def test_key_without_its_collection(run, client):
    assert run("sign", "--key", "seal-p256", *make(1)).exit_code == 0
    assert client.settings[0].signing_key == "keys/seal-p256"


def test_no_key_at_all(run, client, monkeypatch):
    monkeypatch.delenv("SEGEL_KEY")
    answer = run("sign", *make(1))
    assert answer.exit_code == ExitCode.USAGE
    assert "there is no key to sign with: give --key, set SEGEL_KEY" in answer.stderr


def test_goes_on_where_it_stopped(run, client, signer):
    names = make(5)
    Path("file-002.sig").write_bytes(b"old")
    answer = run("sign", "--skip-existing", *names)
    assert answer.exit_code == 0
    assert answer.stderr == "4 of 5 signed, 1 there already; what is signed lies in this folder\n"
    assert Path("file-002.sig").read_bytes() == b"old"
    assert len(signer.asked) == 4


def test_daemon_that_does_not_come_back_stops_the_batch(run, client, signer, monkeypatch):
    really_sign = signer.sign_digest

    async def vanish(digest: bytes) -> bytes:
        if len(signer.asked) < 3:
            return await really_sign(digest)
        late = errors.DeadlinePassed("There was no signature within 60 s", reason="DEADLINE_PASSED")
        raise late from errors.ConnectionFailed("Nothing listens", reason="NOTHING_LISTENS")

    monkeypatch.setattr(signer, "sign_digest", vanish)
    answer = run("sign", *make(100))
    assert answer.exit_code == ExitCode.NOT_CONNECTED
    error, summary = answer.stderr.splitlines()
    assert "There was no signature within 60 s" in error
    assert summary == "3 of 100 signed, 1 failed, 96 not tried; what is signed lies in this folder"


def test_full_disk_is_said_once(run, client, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("segel.cli.drafts.os.fsync", refuse)
    answer = run("sign", *make(79), "--out-dir", "out")
    assert answer.exit_code == ExitCode.FAILED
    error, summary = answer.stderr.splitlines()
    assert error == "error: cannot write in out: no space left on device"
    assert summary == "0 of 79 signed, 1 failed, 78 not tried"
    assert not list(Path("out").iterdir())


def test_one_folder_of_several_in_which_nothing_can_be_written(run, client, monkeypatch):
    really_open = os.open
    for name in ("x", "y"):
        Path(name).mkdir()
        Path(name, "a").write_bytes(b"")

    def refuse(path: object, *how: object) -> int:
        if str(path).startswith("x/.segel-"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, *how)

    monkeypatch.setattr("segel.cli.drafts.os.open", refuse)
    answer = run("sign", "x/a", "y/a")
    assert answer.exit_code == ExitCode.FAILED
    assert answer.stdout == "y/a\ty/a.sig\n"
    assert answer.stderr.splitlines() == [
        "error: x/a: cannot write in x: permission denied",
        "1 of 2 signed, 1 failed; what is signed lies beside the originals",
    ]
