"""A daemon of one token whose module is somebody's own: a card's, or one that misbehaves."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from served import wait_until

import segel
from segel_softhsm import Testbed

TIMEOUT = 60


class Office:
    """A folder, a daemon with one token, a caller who may use every key, and one officer."""

    def __init__(
        self, folder: Path, bed: Testbed, module: Path, environment: Mapping[str, str], token: str
    ) -> None:
        """:param token: lines of the token's table."""
        self.folder, self.bed = folder, bed
        self.config = folder / "segeld.toml"
        people = bed.pki.identities
        (folder / "policy.toml").write_text(
            f"""
two_person = false
[[callers]]
name = "backoffice"
sans = ["uri:{people["backoffice"].uri}"]
[[callers.grants]]
keys = ["*"]
[[officers]]
name = "wayan"
sans = ["uri:{people["wayan"].uri}"]
"""
        )
        variables = ", ".join(f'{name} = "{value}"' for name, value in environment.items())
        self.config.write_text(
            f"""
state_dir = "state"
runtime_dir = "{folder}"

[listen]
address = "127.0.0.1:0"

[listen.tls]
certificate = "{bed.pki.server.cert_chain}"
key = "{bed.pki.server.key}"
client_ca = "{bed.pki.ca_bundle}"

[modules.card]
path = "{module}"
environment = {{ {variables} }}

[tokens.card]
module = "card"
workers = 1
{token}
"""
        )

    def tls(self, who: str) -> segel.Tls:
        person = self.bed.pki.identities[who]
        return segel.Tls(ca=self.bed.pki.ca_bundle, cert=person.cert_chain, key=person.key)

    @contextmanager
    def serving(self, *, killed: bool = False) -> Iterator[segel.BlockingClient]:
        """:param killed: it ends by SIGKILL, as in a crash."""
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "segeld", "serve", "--config", self.config],
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                target = ""
                while not target:
                    line = process.stderr.readline()
                    assert line.startswith("{"), line + process.communicate()[1]
                    log.write(line)
                    if json.loads(line)["event"] == "ready":
                        target = json.loads(line)["callers"]
                with segel.BlockingClient.connect(target, tls=self.tls("backoffice")) as client:
                    yield client
            finally:
                if killed:
                    process.kill()
                else:
                    process.terminate()
                log.write(process.communicate()[1])

    @property
    def officer_environment(self) -> dict[str, str]:
        """Of segelctl."""
        wayan = self.tls("wayan")
        return {
            "SEGELCTL_TARGET": f"unix:{self.folder / 'officer.sock'}",
            "SEGELCTL_TLS_CA": str(wayan.ca),
            "SEGELCTL_TLS_CERT": str(wayan.cert),
            "SEGELCTL_TLS_KEY": str(wayan.key),
        }

    def segelctl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "segeld.ctl", *arguments],
            env={**os.environ, **self.officer_environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def token(self) -> segel.models.Token:
        """As an officer sees it."""
        target = self.officer_environment["SEGELCTL_TARGET"]
        with segel.BlockingOfficer.connect(target, tls=self.tls("wayan")) as officer:
            return officer.token("tokens/card")

    def wait_state(self, state: str) -> None:
        wait_until(lambda: self.token().state == state, lambda: f"{self.token()} {self.tail()}")

    def tail(self) -> str:
        return (self.folder / "log").read_text()[-4000:]
