"""The configuration and the open policy of `segeld dev`, written beside its throw-away tokens."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from segeld.app import Endpoints
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel_softhsm import Testbed, TestToken

_LONGEST_SOCKET_FOLDER: Final = 90
"""Octets: sun_path holds 107, and the socket's own name comes after it."""
_DEFAULT_KEY: Final = "seal-p256"
_CALLER, _OFFICER = "backoffice", "wayan"


@dataclass(frozen=True, slots=True)
class DevSetup:
    testbed: "Testbed"
    config: Path
    summary: str
    default_key: str

    def exports(self, endpoints: Endpoints) -> dict[str, str]:
        """What a shell needs so that `segel` and `segelctl` just work."""
        people = self.testbed.pki.identities
        caller, officer = people[_CALLER], people[_OFFICER]
        return {
            "SEGEL_TARGET": endpoints.callers,
            "SEGEL_TLS_CA": str(self.testbed.pki.ca_bundle),
            "SEGEL_TLS_CERT": str(caller.cert_chain),
            "SEGEL_TLS_KEY": str(caller.key),
            "SEGEL_KEY": f"keys/{self.default_key}",
            "SEGELCTL_TARGET": f"unix:{endpoints.officer_socket}",
            "SEGELCTL_TLS_CA": str(self.testbed.pki.ca_bundle),
            "SEGELCTL_TLS_CERT": str(officer.cert_chain),
            "SEGELCTL_TLS_KEY": str(officer.key),
            "SEGEL_DEV_DIR": str(self.testbed.directory),
            "SEGEL_AUDIT_DIR": str(self.testbed.directory / "state" / "audit"),
            **({"SEGEL_DEV_METRICS": f"http://{endpoints.metrics}/metrics"} if endpoints.metrics else {}),
        }


def write_files(testbed: "Testbed", stack: ExitStack, *, workers: int, prompt: tuple[str, ...]) -> DevSetup:
    """Writes `segeld.toml` and `policy.toml` into the testbed's folder.

    :param stack: cleans up the socket's folder, if it had to lie elsewhere because the testbed's path is long.
    """
    runtime = testbed.directory / "run"
    if len(str(runtime).encode()) > _LONGEST_SOCKET_FOLDER:
        runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="segel-run-")))
    runtime.mkdir(mode=0o700, exist_ok=True)
    config = testbed.directory / "segeld.toml"
    config.write_text(_config(testbed, runtime, workers=workers, prompt=prompt))
    (testbed.directory / "policy.toml").write_text(_policy(testbed))
    keys = sum(len(token.keys) for token in testbed.tokens)
    labels = [key.label for key in testbed.tokens[0].keys]
    return DevSetup(
        testbed,
        config,
        summary=f"{counted(keys, 'key')} on {counted(len(testbed.tokens), 'SoftHSM2 token')}, test PKI, open policy",
        default_key=_DEFAULT_KEY if _DEFAULT_KEY in labels else labels[0],
    )


def _config(testbed: "Testbed", runtime: Path, *, workers: int, prompt: tuple[str, ...]) -> str:
    pki = testbed.pki
    return f"""\
# Written by `segeld dev` at every start; changes are lost.
dev = true
state_dir = {_text(testbed.directory / "state")}
runtime_dir = {_text(runtime)}
policy = "policy.toml"

[log]
level = "warning"

[listen]
address = "127.0.0.1:0"

[listen.tls]
certificate = {_text(pki.server.cert_chain)}
key = {_text(pki.server.key)}
client_ca = {_text(pki.ca_bundle)}

[metrics]
address = "127.0.0.1:0"

[modules.softhsm]
path = {_text(testbed.module)}
environment = {{ SOFTHSM2_CONF = {_text(testbed.softhsm2_conf)} }}
""" + "".join(
        _token(token, pki.ca_bundle, workers=workers, by_hand=token.label in prompt)
        for token in testbed.tokens
    )


def _token(token: "TestToken", issuers: Path, *, workers: int, by_hand: bool) -> str:
    pin = '{ source = "prompt" }' if by_hand else f'{{ source = "file", path = {_text(token.pin_file)} }}'
    return f"""
[tokens.{token.label}]
module = "softhsm"
label = {_text(token.label)}
workers = {workers}
pin = {pin}
certificates = [{_text(issuers)}]
"""


def _policy(testbed: "Testbed") -> str:
    people = testbed.pki.identities
    aliases = {
        (key.label if token is testbed.tokens[0] else f"{token.label}-{key.kind}"): key.spki_sha256
        for token in testbed.tokens
        for key in token.keys
    }
    lines = ["# Written by `segeld dev` at every start: every caller may use every key.", "", "[aliases]"]
    lines += [f'{_text(alias)} = ["sha256-{fingerprint}"]' for alias, fingerprint in aliases.items()]
    for name in ("backoffice", "registry"):
        lines += ["", "[[callers]]", f"name = {_text(name)}", f'sans = ["uri:{people[name].uri}"]']
        lines += ["", "[[callers.grants]]", 'keys = ["*"]']
    for table, names in (
        ("officers", ("wayan", "made")),
        ("auditors", ("ketut",)),
        ("approvers", ("nyoman",)),
    ):
        for name in names:
            lines += ["", f"[[{table}]]", f"name = {_text(name)}", f'sans = ["uri:{people[name].uri}"]']
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return msgspec.json.encode(str(value)).decode()
