"""Configuration and policy of a daemon that tests end in every way there is, and ports that stay its own."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from segel_softhsm import Testbed

if TYPE_CHECKING:
    from served import Served

WORKERS = 2
CALLERS = ("backoffice", "registry")


def free_ports(count: int) -> list[int]:
    """Below the range of ports that are given out for connections: nobody takes them while the daemon is away."""
    found: list[int] = []
    chance = int.from_bytes(os.urandom(2))
    while len(found) < count:
        chance = (chance * 7919 + 104_729) % 12_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", 18_000 + chance))
            except OSError:
                continue
            if probe.getsockname()[1] not in found:
                found.append(probe.getsockname()[1])
    return found


def config_text(served: "Served", conf: Path, limits: str) -> str:
    pki = served.bed.pki
    return f"""
state_dir = "state"
runtime_dir = "{served.folder}"

[listen]
address = "127.0.0.1:{served.port}"

[listen.tls]
certificate = "{pki.server.cert_chain}"
key = "{pki.server.key}"
client_ca = "{pki.ca_bundle}"

[metrics]
address = "127.0.0.1:{served.metrics_port}"

[modules.softhsm]
path = "{served.bed.module}"
environment = {{ SOFTHSM2_CONF = "{conf}" }}

[tokens.main]
module = "softhsm"
label = "segel-a"
workers = {WORKERS}
pin = {{ source = "file", path = "{served.bed.token("segel-a").pin_file}" }}

[limits]
{limits}
"""


def policy_text(bed: Testbed, key: str) -> str:
    text = f'two_person = false\n[aliases]\nseal = ["sha256-{key}"]\n'
    for name in CALLERS:
        text += f'\n[[callers]]\nname = "{name}"\nsans = ["uri:{bed.pki.identities[name].uri}"]\n'
        text += '[[callers.grants]]\nkeys = ["*"]\n'
    return text
