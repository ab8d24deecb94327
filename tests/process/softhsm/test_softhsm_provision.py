"""Making, finding, moving and starting over testbeds: through the command, as people run it."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segel_softhsm import Testbed, TestbedError, find_module, provision

SOURCES = Path(__file__).resolve().parents[3] / "softhsm"
KINDS = ("p256",)  # fast: what is tested here does not depend on the keys


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "segel_softhsm", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SOURCES), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def snapshot(directory):
    """Content, mode and time of everything in a folder."""
    found = {}
    for path in sorted([directory, *directory.rglob("*")]):
        status = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(directory))] = (digest, status.st_mode, status.st_mtime_ns)
    return found


def tokens_shown(testbed):
    """What the module shows, read by a program that is not ours."""
    listing = subprocess.run(
        ["pkcs11-tool", "--module", testbed.module, "--list-token-slots"],
        env={**os.environ, **testbed.environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(line.split(":", 1)[1].strip() for line in listing.splitlines() if "token label" in line)


def test_a_second_run_changes_nothing(tmp_path):
    first = command(tmp_path / "bed")
    assert first.returncode == 0, first.stderr
    before = snapshot(tmp_path / "bed")
    again = command(tmp_path / "bed")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert snapshot(tmp_path / "bed") == before


def test_the_printed_line_can_be_evaluated_even_with_spaces_in_the_path(tmp_path):
    bed = tmp_path / "with a space, é and 'quotes'"
    made = command(bed, "--keys", "p256")
    assert made.returncode == 0, made.stderr
    export = next(line for line in made.stdout.splitlines() if line.startswith("export "))
    shown = subprocess.run(
        ["sh", "-c", export + '; printf %s "$SOFTHSM2_CONF"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == str(bed / "softhsm2.conf")
    assert tokens_shown(Testbed.load(bed)) == ["segel-a", "segel-b"]


def test_json_describes_files_that_exist(tmp_path):
    made = command(tmp_path / "bed", "--keys", "p256,ed25519", "--json")
    view = json.loads(made.stdout)
    assert [key["kind"] for key in view["tokens"][0]["keys"]] == ["p256", "ed25519"]
    paths = [value for value in _strings(view) if value.startswith("/")]
    assert paths
    assert all(Path(path).exists() for path in paths)
    assert view["environment"] == {"SOFTHSM2_CONF": str(tmp_path / "bed" / "softhsm2.conf")}


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def test_everything_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        provision(tmp_path / "bed", kinds=KINDS)
    finally:
        os.umask(before)
    for path in [tmp_path / "bed", *(tmp_path / "bed").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_fresh_makes_other_keys_and_pins_and_no_leftovers(tmp_path):
    old = provision(tmp_path / "bed", kinds=KINDS)
    old_pin, old_files = old.token("segel-a").read_pin(), _names(old.directory)
    new = provision(tmp_path / "bed", fresh=True, kinds=KINDS)
    assert new.token("segel-a").read_pin() != old_pin
    assert new.token("segel-a").keys[0].spki_sha256 != old.token("segel-a").keys[0].spki_sha256
    assert _names(new.directory) == old_files
    assert tokens_shown(new) == ["segel-a", "segel-b"]


def _names(directory):
    """The names of all files, but for those of the tokens, which are random."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if "tokens" not in path.parts}


def test_fresh_never_deletes_a_folder_that_is_not_a_testbed(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "1.txt").write_text("dear all")
    before = snapshot(tmp_path)
    refused = command(tmp_path, "--fresh")
    assert refused.returncode == 1
    assert "is not a testbed" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert snapshot(tmp_path) == before


def test_other_keys_than_asked_for_are_an_error(tmp_path):
    provision(tmp_path / "bed", kinds=KINDS)
    refused = command(tmp_path / "bed", "--keys", "p384")
    assert refused.returncode == 1
    assert "was made with the keys p256; use --fresh" in refused.stderr


def _emptied(bed, _):
    return not (bed / "testbed.json").exists()  # the old description goes first, the new one comes last


def _at_work_on_a_token(bed, old_tokens):
    with contextlib.suppress(FileNotFoundError):
        return bool(set((bed / "tokens").iterdir()) - old_tokens)
    return False


@pytest.mark.parametrize("half_way", [_emptied, _at_work_on_a_token])
def test_a_killed_run_is_started_over(tmp_path, half_way):
    bed = tmp_path / "bed"
    provision(bed, kinds=KINDS)
    old_tokens = set((bed / "tokens").iterdir())
    process = subprocess.Popen(
        [sys.executable, "-m", "segel_softhsm", bed, "--fresh"],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        stdout=subprocess.DEVNULL,
    )
    while not half_way(bed, old_tokens) and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with pytest.raises(TestbedError, match="no finished testbed"):
        Testbed.load(bed)
    testbed = provision(bed, kinds=KINDS)  # waits for the orphaned children, which hold the lock
    assert tokens_shown(testbed) == ["segel-a", "segel-b"]
    assert [key.kind for key in testbed.token("segel-a").keys] == ["p256"]


@pytest.mark.parametrize(
    "lost", ["testbed.json", "softhsm2.conf"], ids=["without its description", "without softhsm2.conf"]
)
def test_a_damaged_testbed_is_made_whole(tmp_path, lost):
    provision(tmp_path / "bed", kinds=KINDS)
    (tmp_path / "bed" / lost).unlink()
    assert tokens_shown(provision(tmp_path / "bed", kinds=KINDS)) == ["segel-a", "segel-b"]


def test_a_copy_shows_its_own_tokens_and_not_the_originals(tmp_path):
    original = provision(tmp_path / "original", kinds=KINDS)
    shutil.copytree(original.directory, tmp_path / "copy")
    copy = Testbed.load(tmp_path / "copy")
    shutil.rmtree(original.directory)
    assert copy.token("segel-a").pin_file.is_relative_to(tmp_path / "copy")
    assert tokens_shown(copy) == ["segel-a", "segel-b"]
    assert copy.token("segel-a").keys[0].certificate.exists()


def test_a_relative_path_is_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    testbed = provision(Path("bed"), kinds=KINDS)
    monkeypatch.chdir("/")
    assert tokens_shown(testbed) == ["segel-a", "segel-b"]


@pytest.mark.parametrize("length", [150, 990])
def test_long_paths_work(tmp_path, length):
    bed = tmp_path
    while len(str(bed)) < length:
        missing = length - len(str(bed))
        bed /= "x" * (missing - 1 if missing <= 200 else 100)
    assert len(str(bed)) == length
    assert tokens_shown(provision(bed, kinds=KINDS)) == ["segel-a", "segel-b"]


def test_a_path_that_softhsm2_cannot_read_is_refused_before_anything_is_made(tmp_path):
    refused = command(tmp_path / "a#b")
    assert refused.returncode == 1
    assert "SoftHSM2 cannot use a folder with '#'" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_without_the_module_the_command_says_so_in_one_line(tmp_path):
    refused = command(tmp_path / "bed", SOFTHSM2_MODULE="/nowhere/libsofthsm2.so")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "bed").exists()


def test_something_that_is_no_module_is_reported_and_not_a_traceback(tmp_path):
    (tmp_path / "fake.so").write_text("not ELF")
    refused = command(tmp_path / "bed", SOFTHSM2_MODULE=str(tmp_path / "fake.so"))
    assert refused.returncode == 1
    assert refused.stderr.startswith("segel_softhsm: ")
    assert "Traceback" not in refused.stderr


def test_two_at_once_make_one_testbed(tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "segel_softhsm", tmp_path / "bed", "--keys", "p256", "--json"],
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    answers = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert answers[0] == answers[1]


def test_a_pin_never_appears_in_what_is_printed(tmp_path):
    made = command(tmp_path / "bed", "--keys", "p256", "--json")
    token = Testbed.load(tmp_path / "bed").token("segel-a")
    assert token.read_pin() not in made.stdout + made.stderr + repr(token)
    assert len(token.read_pin()) == 8


def test_the_callers_process_stays_clean(shared_testbed):
    assert shared_testbed.module == find_module()
    maps = Path("/proc/self/maps")
    if maps.exists():  # Linux; elsewhere the import test must do
        assert "softhsm" not in maps.read_text()
    assert "SOFTHSM2_CONF" not in os.environ


def test_a_testbed_that_is_not_there_cannot_be_loaded(tmp_path):
    with pytest.raises(TestbedError, match="holds no finished testbed"):
        Testbed.load(tmp_path / "nothing")
