"""`segelctl audit`: what it prints, what it ends with, and what it refuses."""

import hashlib
import json
import os
import re
import time
from pathlib import Path

import pytest
from audit_fakes import JOB, KEY, chunk, digest_of, fill, publish, signature_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from segel.cli.exit_codes import ExitCode
from segel.cli.output import Output
from segeld.audit.leaf import Act
from segeld.audit.note import Signer
from segeld.audit.proof import Proof
from segeld.audit.reader import open_log_folder
from segeld.ctl import audit_tail
from segeld.ctl.main import app


@pytest.fixture
def run(made, monkeypatch):
    monkeypatch.setenv("SEGEL_AUDIT_DIR", str(made.folder))
    return lambda *arguments: CliRunner().invoke(app, ["audit", *map(str, arguments)])


@pytest.fixture
def key(made, tmp_path) -> Path:
    path = tmp_path / "audit.pub"
    path.write_text(f"{made.signer.verifier}\n")
    return path


def records(answer) -> list[dict]:
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_key(run, made):
    assert run("key").stdout == f"{made.signer.verifier}\n"
    assert records(run("key", "--json")) == [{"key": str(made.signer.verifier), "origin": made.origin}]


def test_verify(run, key, made):
    answer = run("verify", "--key", key)
    assert answer.exit_code == ExitCode.OK
    assert answer.stdout.startswith(f"verdict\tverified\nlog\t{made.origin}\nleaves\t841\nroot\t")
    assert "signatures\t1143, and 57 attempts without one\n" in answer.stdout
    assert answer.stderr == ""


def test_verify_with_the_key_itself_and_a_folder(run, made, monkeypatch):
    monkeypatch.delenv("SEGEL_AUDIT_DIR")
    (found,) = records(run("verify", "--dir", made.folder, "--key", made.signer.verifier, "--json"))
    assert (found["verified"], found["size"], found["problems"]) == (True, 841, [])


def test_verify_says_what_is_wrong(run, key, made):
    path = made.folder / "tile/entries/001"
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    answer = run("verify", "--key", key)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert "tile/entries/001: it was changed after it was signed" in answer.stderr
    assert "verdict\tNOT VERIFIED" in answer.stdout
    (found,) = records(run("verify", "--key", key, "--json"))
    assert found["problems"][0]["path"] == "tile/entries/001"
    assert 256 <= found["problems"][0]["leaf"] < 512


def test_verify_without_the_first_leaves(run, key, made):
    for name in ("tile/entries/000", "tile/0/000"):
        (made.folder / name).unlink()
    answer = run("verify", "--key", key)
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert "1970" not in answer.stdout
    assert "from\tunknown: the first leaf cannot be read\n" in answer.stdout
    assert "no outcome" not in answer.stderr


def test_verify_may_not_read(run, key, made, monkeypatch):
    real = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "001":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    answer = run("verify", "--key", key)
    assert answer.exit_code == ExitCode.FAILED
    assert "001: permission denied" in answer.stderr
    assert "NOT VERIFIED" not in answer.stdout


def test_verify_needs_a_key_from_elsewhere(run, made, tmp_path):
    assert run("verify").exit_code == ExitCode.USAGE
    assert "vouches for itself" in run("verify").stderr
    link, hard = tmp_path / "link.pub", tmp_path / "hard.pub"
    link.symlink_to(made.folder / "key.pub")
    os.link(made.folder / "key.pub", hard)
    for path in (made.folder / "key.pub", made.folder / "tile/../key.pub", link, hard):
        for command in (("verify",), ("find", "--job", "0" * 32), ("prove", "--leaf", "1")):
            answer = run(*command, "--key", path)
            assert answer.exit_code == ExitCode.USAGE
            assert (
                "lies in the log's own folder: whoever changed the log could have changed it" in answer.stderr
            )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("nowhere.pub", "there is no file nowhere.pub"),
        ("a+b+c", "do not belong together|not base64"),
        (__file__, "no public key of a log"),
    ],
)
def test_no_key(run, given, text):
    answer = run("verify", "--key", given)
    assert answer.exit_code == ExitCode.USAGE
    assert any(one in answer.stderr for one in text.split("|"))


def test_no_log(run, key, tmp_path):
    for command in (
        ("verify", "--key", key),
        ("tail",),
        ("find", "--job", "0" * 32),
        ("prove", "--leaf", "0"),
    ):
        answer = run(*command, "--dir", tmp_path / "none")
        assert answer.exit_code == (ExitCode.USAGE if command[0] in {"find", "prove"} else ExitCode.FAILED)
        assert answer.stderr.endswith(f"error: there is no folder {tmp_path / 'none'}\n")


@pytest.fixture
def sealed(log, source):
    """A letter that was signed in the second attempt, in a request, and a job with acts around it."""
    source.record(log.opened(1_790_000_000_000))
    source.record(*chunk(log.commitments, 1_790_000_000_000, 40, 3, ((1, "UNKNOWN"),))(1))
    fill(source, log, 300)
    source.record(*chunk(log.commitments, 1_790_100_000_000, 41, 1, caller="court")(source.count))
    source.record(Act(1_790_100_000_001, "job cancelled", "tax", f"jobs/{JOB.hex()}"))
    source.record(chunk(log.commitments, 1_790_100_000_002, 9_000_000, 2)(0)[0])
    publish(source, log)
    return log


@pytest.fixture
def ask(sealed, tmp_path):
    path = tmp_path / "audit.pub"
    path.write_text(str(sealed.signer.verifier))
    return lambda command, *given, key=path: CliRunner().invoke(
        app, ["audit", command, "--dir", str(sealed.folder), "--key", str(key), *map(str, given)]
    )


def test_find_a_digest(ask):
    answer = ask("find", "--digest", digest_of(41).hex(), "--verbose")
    assert answer.exit_code == ExitCode.OK
    first, second = answer.stdout.split("\n\n")
    assert "result\tUNKNOWN\n" in first
    assert f"what\titem 41 of jobs/{JOB.hex()}\n" in first
    assert "caller\ttax\n" in first
    assert f"signed; SHA-256 of the signature {hashlib.sha256(signature_of(41)).hexdigest()}" in second
    assert "caller\tcourt\nkey\tkeys/sha256-" in second
    assert "algorithm\tECDSA_P256_SHA256\n" in second
    assert "both leaves are in the tree of" in second
    assert "which the given key signed" in second


def test_find_a_file_and_its_signature(ask, tmp_path, sealed):
    letter, signature = tmp_path / "letter", tmp_path / "letter.sig"
    letter.write_bytes(b"letter 41")
    signature.write_bytes(signature_of(41))
    by_file = records(ask("find", letter, "--json"))
    assert [one["reason"] for one in by_file] == ["UNKNOWN", ""]
    by_signature = records(ask("find", "--signature", signature, "--json"))
    assert by_signature == by_file[1:]
    by_hash = records(ask("find", "--signature", hashlib.sha256(signature_of(41)).hexdigest(), "--json"))
    assert by_hash == by_signature
    assert by_hash[0]["proven"]
    assert by_hash[0]["checkpoint_verified"]
    (sealed.folder / "salt").unlink()
    answer = ask("find", letter)
    assert answer.exit_code == ExitCode.USAGE
    assert "without it no digest can be found" in answer.stderr


def test_one_line_for_each_attempt(ask, sealed):
    answer = ask("find", "--digest", digest_of(41).hex())
    assert (answer.exit_code, answer.stderr) == (ExitCode.OK, "")
    key = f"keys/sha256-{KEY.hex()}"
    last = open_log_folder(sealed.folder, None).checkpoint.size - 3
    assert [line.split("\t") for line in answer.stdout.splitlines()] == [
        ["NOT SIGNED (UNKNOWN) for tax", "2026-09-21 14:13:20.020Z", key, "leaf 2", "proven"],
        ["signed for court", "2026-09-22 18:00:00.020Z", key, f"leaf {last}", "proven"],
    ]


def test_one_line_on_a_terminal(ask, monkeypatch):
    monkeypatch.setattr(Output, "is_terminal", property(lambda _: True))
    answer = ask("find", "--signature", hashlib.sha256(signature_of(41)).hexdigest())
    (line,) = answer.stdout.splitlines()
    key = f"keys/sha256-{KEY.hex()[:16]}…"
    assert re.fullmatch(
        rf"signed for court, 2026-09-22 18:00:00\.020Z, {re.escape(key)}, leaf \d+, proven", line
    )


def test_find_without_a_key_says_so_in_the_same_line(sealed):
    asked = ["audit", "find", "--dir", str(sealed.folder), "--digest", digest_of(41).hex()]
    answer = CliRunner().invoke(app, asked)
    assert (answer.exit_code, answer.stderr) == (ExitCode.OK, "")
    for line in answer.stdout.splitlines():
        assert line.endswith("\tproven; not checked who signed the tree: give --key")
    answer = CliRunner().invoke(app, [*asked, "-v"])
    assert answer.stdout.count("who signed that tree was not checked") == 2


@pytest.mark.parametrize("name", [JOB.hex(), f"jobs/{JOB.hex()}"])
def test_find_a_job(ask, name):
    lines = [line.split("\t") for line in ask("find", "--job", name).stdout.splitlines()]
    assert len(lines) == 304
    assert lines[0][2] == "chunk"
    assert lines[0][3].endswith("→ 2 signed, 1 not (UNKNOWN)")
    assert lines[-2][2:] == ["act", f"job cancelled, by tax jobs/{JOB.hex()}"]
    assert lines[-1][3].endswith("→ no outcome")


def test_find_a_caller_and_a_time(ask):
    (court,) = records(ask("find", "--caller", "court", "--json"))
    assert court["caller"] == "court"
    late = records(ask("find", "--since", "2026-09-22T01:00", "--json"))
    assert [one["kind"] for one in late] == ["chunk", "act", "chunk"]
    assert (
        records(ask("find", "--caller", "tax", "--since", "2026-09-22", "--until", "2026-09-23", "--json"))
        == late[1:]
    )


def test_find_nothing(ask, sealed):
    answer = ask("find", "--digest", "00" * 32)
    assert (answer.exit_code, answer.stdout) == (ExitCode.NO_SIGNATURE, "")
    size = open_log_folder(sealed.folder, None).checkpoint.size
    assert answer.stderr == f"error: nothing of that is in this log of {size} leaves\n"
    for one in (("--job", "0" * 32), ("--caller", "nobody")):
        assert ask("find", *one).exit_code == ExitCode.NO_SIGNATURE


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((), "give one of"),
        (("--digest", "00", "--caller", "tax"), "give one of"),
        (("--digest", "xyz"), "--digest is not hexadecimal"),
        (("--signature", "0011"), "has 64 hex digits"),
        (("--signature", "none.sig"), "there is no such file"),
        (("none.pdf",), "there is no file none.pdf"),
        (("/",), "/ is a folder"),
        (("--job", "x"), "is no job name"),
        (("--since", "yesterday"), "is no time"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "give the earlier time first"),
    ],
)
def test_find_what(ask, given, text):
    answer = ask("find", *given)
    assert answer.exit_code == ExitCode.USAGE
    assert text in answer.stderr


def test_find_in_a_log_that_was_changed(ask, sealed):
    path = sealed.folder / "tile/0/000"
    path.write_bytes(bytes(8192))
    answer = ask("find", "--digest", digest_of(40).hex())
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    (line,) = answer.stdout.splitlines()
    assert line.startswith("signed for tax\t")
    assert line.endswith(
        "\tNOT PROVEN: the log was changed or damaged: leaf 1 is not in the tree that the checkpoint was signed for"
    )
    (found,) = records(ask("find", "--digest", digest_of(40).hex(), "--json"))
    assert (found["proven"], found["checkpoint_verified"]) == (False, False)
    assert "is not in the tree" in found["why_unproven"]
    assert "\nproven\tNOT PROVEN: " in ask("find", "--digest", digest_of(40).hex(), "-v").stdout
    path.unlink()
    answer = ask("find", "--digest", digest_of(40).hex())
    assert answer.exit_code == ExitCode.BAD_SIGNATURE
    assert "\tNOT PROVEN: the log was changed or damaged: tile/0/000: it is missing" in answer.stdout


@pytest.mark.parametrize(("age", "told"), [(3, True), (-3, True), (60, False)])
def test_nothing_is_found_while_signing_goes_on(ask, log, source, age, told):
    source.record(log.opened(1_790_000_000_000))
    source.record(Act(int((time.time() - age) * 1000), "probe", "", "tokens/seal"))
    publish(source, log)
    for command in ("find", "prove"):
        answer = ask(command, "--digest", "00" * 32)
        assert answer.exit_code == ExitCode.NO_SIGNATURE
        assert ("may not be in it yet" in answer.stderr) == told


def test_prove_and_check(ask, sealed, tmp_path):
    signature, proof = tmp_path / "letter.sig", tmp_path / "letter.tlog-proof"
    signature.write_bytes(signature_of(41))
    answer = ask("prove", "--signature", signature, "--output", proof)
    assert answer.exit_code == ExitCode.OK
    assert "position 0; its intent is leaf" in answer.stderr
    assert answer.stdout == ""
    assert proof.read_bytes().startswith(b"c2sp.org/tlog-proof@v1\nextra ")
    key = str(sealed.signer.verifier)
    check = lambda *given: CliRunner().invoke(app, ["audit", "check-proof", str(proof), *map(str, given)])  # noqa: E731
    good = check("--key", key, "--signature", signature)
    assert good.exit_code == ExitCode.OK
    assert good.stdout.startswith(f"proven\t{sealed.origin}\t")
    assert check().exit_code == ExitCode.USAGE
    signature.write_bytes(b"other")
    other = check("--key", key, "--signature", signature)
    assert other.exit_code == ExitCode.FAILED
    assert "not about this signature: leaf" in other.stderr
    another = Signer("another", Ed25519PrivateKey.generate()).verifier
    other = check("--key", another)
    assert other.exit_code == ExitCode.FAILED
    assert "it is a proof of another log" in other.stderr
    whole = proof.read_bytes()
    proof.write_bytes(b"a letter")
    other = check("--key", key)
    assert other.exit_code == ExitCode.FAILED
    assert "it is no proof" in other.stderr
    proof.write_bytes(whole.replace(b"\nindex ", b"\nindex 1", 1))
    assert check("--key", key).exit_code == ExitCode.BAD_SIGNATURE
    (found,) = records(ask("prove", "--leaf", "0", "--json"))
    assert Proof.parse(found["proof"].encode()).index == 0
    assert ask("prove", "--leaf", "100000").exit_code == ExitCode.FAILED
    assert ask("prove").exit_code == ExitCode.USAGE
    assert ask("prove", "--digest", "00" * 32).exit_code == ExitCode.NO_SIGNATURE


def test_every_changed_byte_of_a_proof(ask, sealed, tmp_path):
    from segeld.audit.proof import BadProof

    whole = ask("prove", "--leaf", "300").stdout_bytes
    Proof.parse(whole).check(sealed.signer.verifier)
    for at in range(len(whole)):
        with pytest.raises(BadProof):
            Proof.parse(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]).check(sealed.signer.verifier)
        if at % 10 == 0:
            with pytest.raises(BadProof):
                Proof.parse(whole[:at]).check(sealed.signer.verifier)


def test_tail(run):
    lines = [line.split("\t") for line in run("tail", "-n", "3").stdout.splitlines()]
    assert [(line[0], line[2]) for line in lines] == [("838", "intent"), ("839", "outcome"), ("840", "act")]
    assert lines[2][3] == "token activated, by siti tokens/seal (tries 1)"
    assert lines[1][3] == "of intent 838: 3 signed"
    assert len(run("tail").stdout.splitlines()) == 10
    (last,) = records(run("tail", "-n", "1", "--json"))
    assert last["kind"] == "act"
    assert last["facts"] == {"tries": "1"}


def test_tail_follows(run, made, source, monkeypatch):
    fill(source, made, 1)

    def more(_seconds: float) -> None:
        if source.count == 843:
            publish(source, made)
            source.count += 1
            return
        raise KeyboardInterrupt

    monkeypatch.setattr(audit_tail.time, "sleep", more)
    answer = run("tail", "-n", "1", "--follow")
    assert answer.exit_code == ExitCode.INTERRUPTED
    assert [line.split("\t")[0] for line in answer.stdout.splitlines()] == ["840", "841", "842"]


@pytest.mark.parametrize("command", ["verify", "find", "prove", "check-proof", "tail", "key"])
def test_help(run, command):
    answer = run(command, "--help")
    assert answer.exit_code == 0
    for text in ("Examples:", "Exit codes:", "--json"):
        assert text in answer.stdout
    assert "--target" not in answer.stdout


def test_an_unsealed_pdf(run, key, sealed, tmp_path):
    unsealed = tmp_path / "unsealed.pdf"
    unsealed.write_bytes(b"%PDF-1.7\nhello")
    answer = run("find", unsealed, "--key", key)
    assert answer.exit_code == ExitCode.NO_SIGNATURE
    assert "this PDF has no seal in it" in answer.stderr


def test_export(run, key, made, tmp_path):
    output = tmp_path / "all.jsonl"
    assert run("export", "--key", key, "--output", output).exit_code == ExitCode.OK
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    end = lines[-1]
    assert (end["kind"], end["size"], end["leaves"], end["proven"]) == ("end", 841, 841, True)
    assert [line["leaf"] for line in lines if line["kind"] not in {"item", "end"}] == list(range(841))
    assert sum(line["kind"] == "item" and line["signature_sha256"] is not None for line in lines) == 1143
    assert run("export", "--key", key, "--output", output).exit_code == ExitCode.USAGE
    some = records(run("export", "--key", key, "--from", "2026-09-21T14:13:20.3Z", "--to", "2027-01-01"))
    assert 0 < some[-1]["leaves"] < 841


def test_export_of_a_changed_log(run, key, made):
    path = made.folder / "tile/entries/001"
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    assert run("export", "--key", key).exit_code == ExitCode.BAD_SIGNATURE
