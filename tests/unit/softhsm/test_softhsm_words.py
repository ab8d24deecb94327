"""Kinds, labels, the configuration file, and where the module is looked for: the pure parts of segel_softhsm."""

import subprocess
import sys
from pathlib import Path

import pytest

from segel_softhsm import KINDS, TestbedError, find_module
from segel_softhsm.conf import render
from segel_softhsm.kinds import check_label, parse_kinds
from segel_softhsm.module import check_packages
from segel_softhsm.people import PEOPLE

SOURCES = Path(__file__).resolve().parents[3] / "softhsm"


def test_kinds_are_read_in_the_order_given():
    assert parse_kinds("p256, rsa2048") == ("p256", "rsa2048")
    assert parse_kinds(",".join(KINDS)) == KINDS


@pytest.mark.parametrize("text", ["", " , ", "rsa1024", "p256,p256", "P256"])
def test_other_kinds_are_refused(text):
    with pytest.raises(TestbedError):
        parse_kinds(text)


@pytest.mark.parametrize("label", ["segel-a", "0", "a.b_c-d", "x" * 32])
def test_labels_fit_a_token_and_a_file_name(label):
    assert check_label(label) == label


@pytest.mark.parametrize("label", ["", "x" * 33, "a/b", "..", "a b", "-a", "é", "a\n"])
def test_other_labels_are_refused(label):
    with pytest.raises(TestbedError):
        check_label(label)


def test_conf_names_the_tokens_of_the_folder():
    assert b"directories.tokendir = /tmp/a b/tokens\n" in render(Path("/tmp/a b"))


@pytest.mark.parametrize("name", ["a#b", "a=b", "a\nb", "x/" * 600])
def test_conf_refuses_what_softhsm2_would_misread(name):
    with pytest.raises(TestbedError, match="SoftHSM2 cannot use"):
        render(Path("/tmp") / name)


def test_conf_refuses_a_path_that_json_cannot_hold():
    with pytest.raises(TestbedError, match="not UTF-8"):
        render(Path("/tmp/caf\udce9"))


@pytest.mark.parametrize(
    "place",
    [
        "usr/lib/softhsm",
        "usr/lib64/pkcs11",
        "usr/lib/aarch64-linux-gnu/softhsm",
        "opt/homebrew/lib/softhsm",
    ],
)
def test_the_module_is_found_where_systems_put_it(tmp_path, place):
    module = tmp_path / place / "libsofthsm2.so"
    module.parent.mkdir(parents=True)
    module.touch()
    assert find_module({}, tmp_path) == module


def test_the_environment_goes_first(tmp_path):
    module = tmp_path / "mine.so"
    module.touch()
    assert find_module({"SOFTHSM2_MODULE": str(module)}) == module


def test_a_wrong_override_is_an_error_and_not_ignored():
    with pytest.raises(TestbedError, match="SOFTHSM2_MODULE is /nowhere"):
        find_module({"SOFTHSM2_MODULE": "/nowhere"})


def test_a_missing_module_says_what_to_install(tmp_path):
    with pytest.raises(TestbedError, match="apt install softhsm2"):
        find_module({}, tmp_path)


def test_missing_packages_are_named_in_one_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TestbedError, match="pip install certomancer cryptography python-pkcs11"):
        check_packages()


def test_each_person_claims_one_san_and_the_flawed_ones_that_of_a_good_one():
    sans = {person.name: person.uri for person in PEOPLE}
    assert sans["wayan"] == "spiffe://segel.test/officer/wayan"
    assert sans["foreign"] == sans["backoffice-expired"] == sans["backoffice"]
    good = [person.uri for person in PEOPLE if not person.flaw]
    assert len(set(good)) == len(good)


def test_importing_loads_neither_pkcs11_nor_certomancer():
    script = (
        "import sys, segel_softhsm, segel_softhsm.oddities, segel_softhsm.__main__\n"
        "heavy = {'pkcs11', 'certomancer', 'cryptography', 'asn1crypto', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(SOURCES)}, check=True)
