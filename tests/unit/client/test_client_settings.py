"""Where settings come from, and what is said when they do not."""

import pytest

import segel
from segel import errors
from segel.settings import Settings

COMPLETE = 'target = "a:1"\nca = "ca.pem"\ncert = "me.pem"\nkey = "me.key"\n'


@pytest.fixture
def user(tmp_path):
    return folder(tmp_path / "config" / "segel")


@pytest.fixture
def system(tmp_path):
    return folder(tmp_path / "etc")


def folder(path):
    path.mkdir(parents=True)
    return path


def test_each_setting_comes_from_the_first_place_that_has_it(user, system, monkeypatch):
    (system / "client.toml").write_text(COMPLETE + 'signing_key = "keys/etc"\nserver_name = "etc"\n')
    (user / "client.toml").write_text('target = "user:1"\nca = "user-ca.pem"\ncert = "user.pem"\n')
    monkeypatch.setenv("SEGEL_TARGET", "env:1")
    monkeypatch.setenv("SEGEL_TLS_CA", "env-ca.pem")
    settings = Settings.load(target="arg:1")
    assert settings.target == "arg:1"
    assert settings.tls == segel.Tls("env-ca.pem", str(user / "user.pem"), str(system / "me.key"))
    assert (settings.signing_key, settings.server_name) == ("keys/etc", "etc")
    assert settings.sources == {
        "target": "the argument target",
        "ca": "SEGEL_TLS_CA",
        "cert": str(user / "client.toml"),
        "key": str(system / "client.toml"),
        "server_name": str(system / "client.toml"),
        "signing_key": str(system / "client.toml"),
    }


def test_the_environment_alone_is_enough(monkeypatch):
    for name, value in {
        "SEGEL_TARGET": "env:1",
        "SEGEL_TLS_CA": "ca",
        "SEGEL_TLS_CERT": "cert",
        "SEGEL_TLS_KEY": "key",
        "SEGEL_KEY": "keys/env",
        "SEGEL_SERVER_NAME": "signer",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.target, settings.signing_key, settings.server_name) == ("env:1", "keys/env", "signer")


def test_officers_have_places_of_their_own(user, monkeypatch):
    (user / "client.toml").write_text(COMPLETE)
    (user / "officer.toml").write_text(COMPLETE.replace("a:1", "unix:/run/segel/officer.sock"))
    monkeypatch.setenv("SEGEL_TLS_CA", "not-this")
    monkeypatch.setenv("SEGELCTL_TLS_CERT", "officer.pem")
    settings = Settings.load(profile="officer")
    assert settings.target == "unix:/run/segel/officer.sock"
    assert settings.tls == segel.Tls(str(user / "ca.pem"), "officer.pem", str(user / "me.key"))


def test_absolute_paths_and_homes_stay_as_they_are(user, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (user / "client.toml").write_text(
        'target = "a:1"\nca = "/etc/ca.pem"\ncert = "~/me.pem"\nkey = "me.key"\n'
    )
    assert Settings.load().tls == segel.Tls("/etc/ca.pem", "/home/me/me.pem", str(user / "me.key"))


def test_without_its_variable_the_folder_is_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (folder(tmp_path / ".config" / "segel") / "client.toml").write_text(COMPLETE)
    assert Settings.load().target == "a:1"


def test_a_missing_setting_names_every_place(user, tmp_path):
    (user / "client.toml").write_text('target = "a:1"\n')
    with pytest.raises(errors.SettingsInvalid) as caught:
        Settings.load()
    text = str(caught.value)
    assert "'ca'" in text
    assert "SEGEL_TLS_CA" in text
    assert f"{user / 'client.toml'} (which does not name it)" in text
    assert f"{tmp_path / 'etc' / 'client.toml'} (which does not exist)" in text
    assert caught.value.reason == "SETTING_MISSING"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("target = ", "is not TOML"),
        ('tarject = "a:1"', "'tarject' that there is not"),
        ("target = 7443", "has no text for 'target'"),
        ('target = ""', "has no text for 'target'"),
    ],
)
def test_a_file_that_is_wrong_is_named(user, content, text):
    path = user / "client.toml"
    path.write_text(content)
    with pytest.raises(errors.SettingsInvalid, match=text) as caught:
        Settings.load("a:1", "ca", "cert", "key")
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(user):
    (user / "client.toml").mkdir()
    with pytest.raises(errors.SettingsInvalid, match="cannot be read"):
        Settings.load("a:1", "ca", "cert", "key")


async def test_a_client_from_settings(daemon, tls, monkeypatch):
    monkeypatch.setenv("SEGEL_TARGET", daemon.target)
    monkeypatch.setenv("SEGEL_TLS_CERT", str(tls.cert))
    monkeypatch.setenv("SEGEL_KEY", "keys/seal")
    async with segel.connect(ca=tls.ca, key=tls.key) as client:
        signer = await client.signer()
        assert await signer.sign_message(b"text")


def test_a_wrong_target_names_its_source(monkeypatch):
    monkeypatch.setenv("SEGEL_TARGET", "localhost")
    with pytest.raises(
        errors.SettingsInvalid, match=r"'localhost' \(from SEGEL_TARGET\) is neither host:port"
    ):
        segel.connect(ca="a", cert="b", key="c")


def test_settings_are_called_as_their_reader_knows_them(tmp_path):
    words = {"target": "--target", "key": "--tls-key"}
    with pytest.raises(
        errors.SettingsInvalid, match=r"^--target is missing\. Give it, set SEGEL_TARGET, or put"
    ):
        Settings.load(words=words)
    settings = Settings.load("a:1", "ca", "cert", tmp_path / "no.pem", words=words)
    assert settings.sources["key"] == "--tls-key"
    assert settings.sources["ca"] == "the argument ca"
