"""`segeld serve`, `check-config` and `probe` as an operator uses them, with a configuration of their own."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import segel

TIMEOUT = 60
SEGELD = [sys.executable, "-m", "segeld"]


@pytest.fixture(scope="module")
def bed(tmp_path_factory, ready_beds):
    return ready_beds.at(tmp_path_factory.mktemp("serve") / "bed", "p256")


@pytest.fixture
def settings(bed, tmp_path) -> Path:
    """A configuration and a policy: backoffice may use one key of two, with one algorithm."""
    key = bed.token("segel-a").key("seal-p256")
    (tmp_path / "policy.toml").write_text(
        f"""
[aliases]
seal-2026 = ["sha256-{key.spki_sha256}"]

[[callers]]
name = "backoffice"
sans = ["uri:{bed.pki.identities["backoffice"].uri}"]
[[callers.grants]]
keys = ["keys/seal-2026"]
algorithms = ["ECDSA_P256_SHA256"]

[[callers]]
name = "registry"
sans = ["uri:{bed.pki.identities["registry"].uri}"]

[[officers]]
name = "wayan"
sans = ["uri:{bed.pki.identities["wayan"].uri}"]

[[officers]]
name = "made"
sans = ["uri:{bed.pki.identities["made"].uri}"]
"""
    )
    file = tmp_path / "segeld.toml"
    file.write_text(
        f"""
state_dir = "state"
runtime_dir = "{tmp_path}"

[listen]
address = "127.0.0.1:0"

[listen.tls]
certificate = "{bed.pki.server.cert_chain}"
key = "{bed.pki.server.key}"
client_ca = "{bed.pki.ca_bundle}"

[modules.softhsm]
path = "{bed.module}"
environment = {{ SOFTHSM2_CONF = "{bed.softhsm2_conf}" }}

[tokens.main]
module = "softhsm"
label = "segel-a"
pin = {{ source = "file", path = "{bed.token("segel-a").pin_file}" }}

[tokens.other]
module = "softhsm"
label = "segel-b"
"""
    )
    return file


@contextmanager
def serving(file: Path, pass_fds: tuple[int, ...] = ()):
    """The daemon, and its log lines as they come, up to the ready line."""
    process = subprocess.Popen(
        [*SEGELD, "serve", "--config", file], stderr=subprocess.PIPE, text=True, pass_fds=pass_fds
    )
    lines: list[dict[str, object]] = []
    with process:
        try:
            while not any(line["event"] == "ready" for line in lines):
                lines.append(json.loads(process.stderr.readline()))
            yield process, lines
        finally:
            process.terminate()
            lines += [json.loads(line) for line in process.stderr]


def tls(bed, name: str) -> segel.Tls:
    who = bed.pki.identities[name]
    return segel.Tls(ca=bed.pki.ca_bundle, cert=who.cert_chain, key=who.key)


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*SEGELD, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def test_it_serves_logs_json_with_request_ids_and_ends_on_sigterm(bed, settings) -> None:
    with serving(settings) as (process, lines):
        target = next(str(line["callers"]) for line in lines if line["event"] == "ready")
        with segel.BlockingClient.connect(target, tls=tls(bed, "backoffice")) as client:
            assert client.signer("keys/seal-2026").sign_digest(bytes(32))
    assert process.returncode == 0
    pin = bed.token("segel-a").read_pin()
    assert not any(pin in json.dumps(line) for line in lines)
    calls = [line for line in lines if str(line.get("method", "")).endswith("SignStream")]
    assert len(calls) == 1
    assert calls[0]["request_id"]
    assert calls[0]["items"] == 1
    assert lines[-1]["event"] == "stopped"


def test_a_pin_comes_through_an_inherited_descriptor(bed, settings) -> None:
    reading, writing = os.pipe()
    os.write(writing, bed.token("segel-a").pin_file.read_bytes() + b"\n")
    os.close(writing)
    text = settings.read_text()
    old = re.search(r'pin = \{ source = "file".*', text)[0]
    settings.write_text(text.replace(old, f'pin = {{ source = "descriptor", number = {reading} }}'))
    with serving(settings, pass_fds=(reading,)) as (_, lines):
        os.close(reading)
        target = next(str(line["callers"]) for line in lines if line["event"] == "ready")
        with segel.BlockingClient.connect(target, tls=tls(bed, "backoffice")) as client:
            assert client.signer("keys/seal-2026").sign_digest(bytes(32))


def test_foreign_and_unknown_keys_are_the_same_to_a_caller(bed, settings) -> None:
    foreign = f"keys/sha256-{bed.token('segel-b').key('seal-p256').spki_sha256}"
    unknown = "keys/sha256-" + "0" * 64
    with serving(settings) as (_, lines):
        target = next(str(line["callers"]) for line in lines if line["event"] == "ready")
        with segel.BlockingClient.connect(target, tls=tls(bed, "backoffice")) as client:
            (mine,) = client.keys()
            assert mine.aliases == ("keys/seal-2026",)
            said = []
            for name in (foreign, unknown):
                with pytest.raises(segel.errors.KeyNotFound) as refused:
                    client.key(name)
                said.append(str(refused.value).replace(name, "NAME"))
            assert said[0] == said[1]
        with segel.BlockingClient.connect(target, tls=tls(bed, "registry")) as client:
            assert client.keys() == ()
            with pytest.raises(segel.errors.KeyNotFound):
                client.key("keys/seal-2026")


def test_a_port_that_is_taken_is_said_and_nothing_stays_behind(settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings.write_text(settings.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        done = run("serve", "--config", settings)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(port) in done.stderr


def test_a_signal_during_the_start_is_heard(settings, tmp_path) -> None:
    sleeper = tmp_path / "sleeper.c"
    sleeper.write_text("#include <unistd.h>\nlong C_GetFunctionList(void **list) { pause(); return 5; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libsleeper.so", sleeper], check=True)
    text = settings.read_text()
    text = re.sub(r'path = ".*libsofthsm2.so"', f'path = "{tmp_path}/libsleeper.so"', text)
    patient = f"timeouts = {{ start = {10 * TIMEOUT} }}"  # for the module to load: nobody waits for that
    settings.write_text(text.replace('module = "softhsm"', f'module = "softhsm"\n{patient}'))
    with subprocess.Popen(
        [*SEGELD, "serve", "--config", settings], stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + TIMEOUT
        while not (tmp_path / "officer.sock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("state", "said"), [("state", "another segeld"), ("other", "officer.sock")], ids=["state", "socket"]
)
def test_a_second_daemon_is_refused(settings, state, said) -> None:
    with serving(settings):
        other = settings.with_name("other.toml")
        other.write_text(settings.read_text().replace('state_dir = "state"', f'state_dir = "{state}"'))
        done = run("serve", "--config", other)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_killed_daemon_takes_its_children_along_and_the_next_one_starts(bed, settings) -> None:
    process = subprocess.Popen([*SEGELD, "serve", "--config", settings], stderr=subprocess.PIPE, text=True)
    with process:
        for line in process.stderr:
            if json.loads(line)["event"] == "ready":
                break
        children = re.findall(r"\d+", Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        watched = [os.pidfd_open(int(child)) for child in children]
        process.send_signal(signal.SIGKILL)
    assert len(watched) >= 3  # the keeper and the ready workers; others may be between two processes
    for descriptor in watched:
        assert select.select([descriptor], [], [], TIMEOUT)[0], "a child outlived the daemon"
        os.close(descriptor)
    with serving(settings) as (_, lines):
        assert lines


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        (
            'module = "softhsm"\nlabel = "segel-a"',
            'module = "hsm"\nlabel = "segel-a"',
            "tokens.main.module",
            "hsm",
        ),
        (
            'label = "segel-b"',
            'label = "segel-c"',
            "tokens.other",
            "segelctl token init other --slot modules/softhsm/slots/",
        ),
        ('label = "segel-b"', 'labell = "segel-b"', "tokens.other", "labell"),
        ("client-ca", "client-ca", "", ""),
        ("libsofthsm2.so", "libmissing.so", "modules.softhsm.path", "libmissing.so"),
        ('state_dir = "state"', "state_dir = 7", "state_dir", ""),
    ],
)
def test_check_config_names_every_fault_by_its_key(settings, old, new, key, says) -> None:
    settings.write_text(settings.read_text().replace(old, new))
    done = run("check-config", settings)
    assert "Traceback" not in done.stderr
    if not key:
        assert (done.returncode, done.stderr) == (0, "")
        assert "no faults" in done.stdout
        return
    assert done.returncode == 3
    assert key in done.stderr
    assert says in done.stderr
    shown = json.loads(run("check-config", "--json", settings).stdout)
    assert any(fault["key"].startswith(key) and fault["file"] == str(settings) for fault in shown)


def test_check_config_names_the_faults_of_both_files_at_once(settings) -> None:
    rules = settings.with_name("policy.toml")
    rules.write_text(rules.read_text().replace("ECDSA_P256_SHA256", "MD5"))
    settings.write_text(settings.read_text().replace('module = "softhsm"', 'module = "hsm"'))
    shown = json.loads(run("check-config", "--json", settings).stdout)
    assert {fault["file"] for fault in shown} == {str(settings), str(rules)}


def test_check_config_says_that_the_pin_guard_is_damaged(settings) -> None:
    settings.with_name("state").mkdir()
    settings.with_name("state").joinpath("pin-guard").write_bytes(b"nonsense")
    done = run("check-config", "--offline", settings)
    assert done.returncode == 0
    assert "is damaged" in done.stdout
    assert "activated it by hand" in done.stdout


def test_a_configuration_with_a_fault_is_not_served(settings) -> None:
    settings.write_text(settings.read_text() + "\nsurprise = 1\n")
    done = run("serve", "--config", settings)
    assert done.returncode == 3
    assert "surprise" in done.stderr


def test_a_configuration_that_is_not_there(missing) -> None:
    for command in (["check-config", missing], ["serve", "--config", missing]):
        done = run(*command)
        assert done.returncode == 3
        assert str(missing) in done.stderr
        assert "Traceback" not in done.stderr


def test_probe_prints_a_configuration_block_that_can_be_pasted(bed, tmp_path, settings) -> None:
    done = subprocess.run(
        [*SEGELD, "probe", bed.module],
        env={**os.environ, **bed.environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "CKM_ECDSA" in done.stdout
    assert "locking: yes" in done.stdout
    block = done.stdout.partition("# For segeld.toml:")[2]
    head = settings.read_text().partition("[modules.softhsm]")[0]
    pasted = tmp_path / "pasted.toml"
    pasted.write_text(head + block)
    checked = run("check-config", pasted)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("content", [None, b"not a library"])
def test_probe_says_what_is_wrong_with_a_module(tmp_path, content) -> None:
    module = tmp_path / "libodd.so"
    if content is not None:
        module.write_bytes(content)
    done = run("probe", module)
    assert done.returncode == 1
    assert str(module) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [[], ["serve"], ["dev"], ["probe"], ["check-config"]])
def test_help_has_an_example_and_exit_codes(command) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert ("Example: segeld" in done.stdout or "Example: eval" in done.stdout) or "Exit codes" in done.stdout
