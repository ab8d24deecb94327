"""Faults that take a look around to see: files, certificates, tokens, addresses."""

import base64
import os
import shutil
import socket

import pytest

from segeld import config
from segeld.config import addresses
from segeld.config.certificates import public_key_of


@pytest.fixture
def fault(write):
    """The text of the fault at a key; exactly one fault is expected."""

    def find(key: str, *args, **replacements) -> str:
        problems = config.check(write(*args, **replacements))
        assert [problem.key for problem in problems] == [key], problems
        return problems[0].text

    return find


def test_nothing_is_wrong_with_the_minimal_one(write):
    assert config.check(write()) == []


def test_checking_makes_nothing(write, folder):
    before = sorted(folder.iterdir())
    path = write()
    config.check(path)
    assert sorted(folder.iterdir()) == sorted({*before, path})


@pytest.mark.parametrize(
    ("key", "name"),
    [("modules.vendor.path", "vendor.so"), ("policy", "policy.toml")],
)
def test_a_file_must_be_there(fault, folder, key, name):
    (folder / name).unlink()
    assert "no such file" in fault(key)
    (folder / name).mkdir()
    assert "is not a file" in fault(key)


def test_a_key_for_all_to_read_is_refused(fault, folder):
    (folder / "server.key").chmod(0o644)
    assert "mode 0644" in fault("listen.tls.key")


def test_a_key_may_be_read_by_its_group(write, folder):
    (folder / "server.key").chmod(0o640)
    assert config.check(write()) == []


def test_a_key_must_belong_to_its_certificate(fault, folder, pair):
    pair(folder, "other")
    assert "is not the key of" in fault("listen.tls.key", **{'"server.key"': '"other.key"'})


def test_a_key_with_a_passphrase_is_refused(fault, folder, pair):
    pair(folder, "server", password=b"secret")
    assert "passphrase" in fault("listen.tls.key")


@pytest.mark.parametrize(
    ("key", "name"),
    [("certificate", "server.pem"), ("client_ca", "server.pem"), ("key", "server.key")],
)
def test_pem_must_be_pem(write, folder, key, name):
    (folder / "junk").touch(mode=0o600)
    (folder / "junk").write_text("junk")
    problems = config.check(write(**{f'{key} = "{name}"': f'{key} = "junk"'}))
    assert [problem.key for problem in problems] == [f"listen.tls.{key}"]
    assert "holds no PEM" in problems[0].text


@pytest.mark.parametrize(
    ("days", "said"), [({"last_day": -1}, "expired on"), ({"first_day": 5}, "valid only from")]
)
def test_a_certificate_must_be_valid_today(write, folder, pair, days, said):
    pair(folder, "server", **days)
    problems = config.check(write())
    assert {problem.key for problem in problems} == {"listen.tls.certificate", "listen.tls.client_ca"}
    assert all(said in problem.text for problem in problems)


def test_officers_tls_is_looked_at_too(fault, minimal):
    tls = '[officers]\ntls = { certificate = "server.pem", key = "no.key", client_ca = "server.pem" }\n'
    assert "no such file" in fault("officers.tls.key", minimal + tls)


@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o640, "others can reach"), (0o604, "others can reach"), (0o600, None), (0o400, None)],
)
def test_a_pin_file_is_for_nobody_else(write, folder, minimal, mode, said):
    (folder / "pin").touch()
    (folder / "pin").chmod(mode)
    problems = config.check(write(minimal + 'pin = { source = "file", path = "pin" }\n'))
    if said is None:
        assert problems == []
    else:
        assert (problems[0].key, said in problems[0].text) == ("tokens.payroll.pin.path", True)


def test_a_pin_file_in_a_folder_for_all_to_write_in_is_refused(write, folder, minimal):
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "open" / "pin").touch(mode=0o600)
    (problem,) = config.check(write(minimal + 'pin = { source = "file", path = "open/pin" }\n'))
    assert "replace pin" in problem.text


@pytest.mark.parametrize(("name", "key"), [("vendor.so", "modules.vendor.path"), ("policy.toml", "policy")])
def test_what_decides_what_is_done_is_not_for_anybody_to_change(write, folder, minimal, name, key):
    path = write(minimal)
    (folder / name).chmod(0o664)
    assert config.check(path) == []
    (folder / name).chmod(0o666)
    (problem,) = config.check(path)
    assert (problem.key, "chmod o-w" in problem.text) == (key, True)


def test_a_module_in_a_folder_for_all_to_write_in_is_refused(write, folder, minimal):
    (folder / "open").mkdir()
    shutil.copy(folder / "vendor.so", folder / "open")
    path = write(**{'path = "vendor.so"': 'path = "open/vendor.so"'})
    (folder / "open").chmod(0o1777)
    assert config.check(path) == []
    (folder / "open").chmod(0o777)
    (problem,) = config.check(path)
    assert (problem.key, "replace vendor.so" in problem.text) == ("modules.vendor.path", True)


@pytest.mark.parametrize(("mode", "fine"), [(0o440, True), (0o444, False)])
def test_a_credential_of_systemd_shows_its_access_list_as_the_groups_right(
    write, folder, minimal, monkeypatch, mode, fine
):
    (folder / "given").mkdir()
    (folder / "given" / "pin").touch()
    (folder / "given" / "pin").chmod(mode)
    path = write(minimal + 'pin = { source = "file", path = "given/pin" }\n')
    assert [problem.key for problem in config.check(path)] == ["tokens.payroll.pin.path"]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "given"))
    assert [problem.key for problem in config.check(path)] == ([] if fine else ["tokens.payroll.pin.path"])


@pytest.fixture
def descriptor():
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def test_a_pin_descriptor_must_be_open_where_the_daemon_is_started(write, minimal, descriptor):
    path = write(minimal + f'pin = {{ source = "descriptor", number = {descriptor} }}\n')
    config.load(path, descriptors=True)
    path = write(minimal + 'pin = { source = "descriptor", number = 987 }\n')
    config.load(path)  # by hand there is none
    with pytest.raises(config.ConfigError, match="descriptor 987 is not open") as caught:
        config.load(path, descriptors=True)
    assert [problem.key for problem in caught.value.problems] == ["tokens.payroll.pin.number"]


def test_a_pin_does_not_come_from_a_socket(write, minimal):
    with socket.socket() as sock:
        path = write(minimal + f'pin = {{ source = "descriptor", number = {sock.fileno()} }}\n')
        (problem,) = config.check(path, descriptors=True)
    assert "no pipe, file or device" in problem.text


@pytest.fixture
def odd_pem(odd_certificate):
    lines = base64.encodebytes(odd_certificate).decode()
    return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n".encode()


def test_the_certificate_that_cannot_be_read_is_named(fault, folder, minimal, odd_pem):
    good = (folder / "server.pem").read_bytes()
    (folder / "more.pem").write_bytes(good + odd_pem)
    text = fault("tokens.payroll.certificates[0]", minimal + 'certificates = ["more.pem"]\n')
    assert text.startswith(f"certificate 2 in {folder / 'more.pem'} cannot be read (")


@pytest.mark.parametrize("key", ["certificate", "client_ca"])
def test_an_odd_certificate_of_a_listener_is_named_too(fault, folder, key, odd_pem):
    (folder / "odd.pem").write_bytes(odd_pem)
    text = fault(f"listen.tls.{key}", **{f'{key} = "server.pem"': f'{key} = "odd.pem"'})
    assert text.startswith("certificate 1 in ")


def test_an_odd_certificate_is_no_public_key(fault, folder, minimal, odd_pem):
    (folder / "odd.pem").write_bytes(odd_pem)
    text = fault("tokens.payroll.public_keys[0]", minimal + 'public_keys = ["odd.pem"]\n')
    assert "holds a certificate that cannot be read (" in text


def test_what_lies_beside_certificates_must_be_pem_too(fault, folder, minimal):
    good = (folder / "server.pem").read_bytes()
    (folder / "more.pem").write_bytes(good + b"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n")
    text = fault("tokens.payroll.certificates[0]", minimal + 'certificates = ["more.pem"]\n')
    assert "beside its certificates" in text


def test_a_file_of_certificates_that_was_cut_short(fault, folder, minimal):
    good = (folder / "server.pem").read_bytes()
    (folder / "more.pem").write_bytes(good + good[: len(good) // 2])
    text = fault("tokens.payroll.certificates[0]", minimal + 'certificates = ["more.pem"]\n')
    assert "cut short" in text


def test_a_token_names_a_module_that_is_there(fault):
    assert "(vendor)" in fault("tokens.payroll.module", **{'module = "vendor"': 'module = "other"'})


def test_a_token_has_something_to_be_found_by(fault):
    assert "a label, a serial, or both" in fault("tokens.payroll", **{'label = "Payroll"\n': ""})


@pytest.mark.parametrize("name", ["Payroll", "-a", '"a b"', "sha256-" + "0" * 64])
def test_a_token_has_a_proper_name(write, name):
    problems = config.check(write(**{"[tokens.payroll]": f"[tokens.{name}]"}))
    assert len(problems) == 1
    assert "is no name for a token" in problems[0].text


def test_without_tokens_there_is_nothing_to_sign_with(fault, minimal):
    assert "no token" in fault("tokens", minimal[: minimal.index("[tokens")] + "[tokens]\n")


@pytest.mark.parametrize(
    ("second", "twins"),
    [
        ('label = "Payroll"', True),
        ('label = "Payroll"\nserial = "1"', True),
        ('serial = "1"', False),
        ('label = "Other"', False),
    ],
)
def test_two_names_for_one_token_are_refused(write, minimal, second, twins):
    problems = config.check(write(minimal + f'[tokens.second]\nmodule = "vendor"\n{second}\n'))
    assert [problem.key for problem in problems] == (["tokens.second"] if twins else [])


def test_tokens_of_one_label_may_differ_in_serial(write, minimal):
    tokens = "".join(f'[tokens.t{n}]\nmodule = "vendor"\nlabel = "Same"\nserial = "{n}"\n' for n in (1, 2))
    assert config.check(write(minimal + tokens)) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LD_PRELOAD", "which code"),
        ("ld_library_path", "which code"),
        ("PYTHONPATH", "which code"),
        ("PATH", "which code"),
        ("GRPC_TRACE", "which code"),
        ("HSM_PIN", "secret"),
        ("USER_PASSWORD", "secret"),
        ("vendor_secret", "secret"),
        ("PIN2", "secret"),
        ('"a=b"', "no name"),
        ("SOFTHSM2_CONF", None),
        ("PINNACLE_HOME", None),
        ("CRYPTOKI_SPIN", None),
    ],
)
def test_an_environment_brings_neither_code_nor_secrets(write, name, said):
    path = write(**{'path = "vendor.so"': f'path = "vendor.so"\nenvironment = {{ {name} = "x" }}'})
    problems = config.check(path)
    assert [said in problem.text for problem in problems] == ([True] if said else [])


@pytest.mark.parametrize("kind", ["pub", "pem"])
def test_a_public_key_may_come_from_a_certificate(write, folder, minimal, kind):
    assert config.check(write(minimal + f'public_keys = ["server.{kind}"]\n')) == []
    pub, pem = ((folder / f"server.{end}").read_bytes() for end in ("pub", "pem"))
    assert public_key_of(pub) == public_key_of(pem)


def test_a_private_key_is_no_public_key(fault, minimal):
    assert "holds no PEM public key" in fault(
        "tokens.payroll.public_keys[0]", minimal + 'public_keys = ["server.key"]\n'
    )


def test_a_socket_path_that_is_too_long_is_told_before_it_fails(fault):
    text = fault("runtime_dir", **{'"run"': '"' + "r" * 120 + '"'})
    assert "107 is the limit" in text


def test_a_folder_must_be_ours_to_write_in(fault, folder):
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)
    assert "others can write" in fault("state_dir")


def test_a_folder_is_no_file(fault, folder):
    (folder / "state").touch()
    assert "not a folder" in fault("state_dir")


@pytest.mark.parametrize(
    "address", ["localhost", "127.0.0.1:", ":7443", "::1:7443", "h:65536", "h:x", "h:-1", "h:٣"]
)
def test_an_address_is_host_and_port(fault, address):
    assert fault("listen.address", **{"127.0.0.1:0": address})


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:7443", ("::1", 7443)),
        ("host.example:65535", ("host.example", 65535)),
    ],
)
def test_addresses_are_taken_apart(address, wanted):
    assert addresses.split(address) == wanted


def test_two_listeners_do_not_share_an_address(fault, minimal):
    text = minimal.replace("127.0.0.1:0", "127.0.0.1:7001") + '[metrics]\naddress = "127.0.0.1:7001"\n'
    assert "the same as listen.address" in fault("metrics.address", text)


@pytest.mark.parametrize(
    ("host", "fine"),
    [("127.0.0.1", True), ("[::1]", True), ("localhost", True), ("0.0.0.0", False), ("example", False)],
)
def test_dev_mode_stays_on_this_machine(write, host, fine):
    path = write(**{'state_dir = "state"': 'state_dir = "state"\ndev = true', "127.0.0.1:0": f"{host}:0"})
    assert [problem.key for problem in config.check(path)] == ([] if fine else ["listen.address"])


def test_a_command_to_tell_somebody_is_a_program_by_its_full_path(write, folder, fault):
    program = folder / "tell"
    program.write_text("#!/bin/sh\n")
    table = '[modules.vendor]\npath = "vendor.so"'

    def named(command: str) -> dict[str, str]:
        return {table: f"[notify]\ncommand = [{command}]\n{table}"}

    assert "cannot be run" in fault("notify.command", **named(f'"{program}"'))
    program.chmod(0o755)
    assert config.check(write(**named(f'"{program}", "--to", "officers"'))) == []
    program.chmod(0o757)
    assert "anybody can write" in fault("notify.command", **named(f'"{program}"'))
    assert "no full path" in fault("notify.command", **named('"tell"'))
    assert "no such file" in fault("notify.command", **named('"/nowhere/tell"'))
    assert [problem.key for problem in config.check(write(**named("")))] == ["notify.command"]
