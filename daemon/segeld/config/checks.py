"""What a well-formed configuration can still get wrong: files, names, tokens. Looks, but changes nothing."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Final

from segeld.config import addresses, certificates, files
from segeld.config.schema import Config, Module, PinCredential, PinDescriptor, PinFile, PinPad, Token, Witness
from segeld.config.strict import Problem
from segeld.model.names import BadName, TokenName
from segeld.model.pin_files import CREDENTIALS

SUN_PATH: Final = 107
"""Octets of a Unix socket's path that Linux takes (unix(7))."""

_LOADER: Final = re.compile(r"LD_.*|DYLD_.*|PYTHON.*|GRPC_.*|PATH|IFS|BASH_ENV|ENV|MALLOC_.*|GCONV_PATH")
_SECRET: Final = re.compile(
    r"(?:.*_)?(?:PIN|PUK|PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?)\d*"
)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_files(config: Config, *, descriptors: bool) -> Iterator[Problem]:
    """Every fault that takes a look around to see.

    :param descriptors: look at the descriptors of PINs too: they are there in a process that is started to serve.
    """
    yield from _folders(config)
    yield from addresses.check(config)
    yield from certificates.check_tls("listen.tls", config.listen.tls)
    if config.officers.tls is not None:
        yield from certificates.check_tls("officers.tls", config.officers.tls)
    yield from files.check_trusted("policy", config.policy)
    if config.notify is not None:
        yield from files.check_program("notify.command", config.notify.command[0])
    if config.audit.witness is not None:
        yield from _witness(config.audit.witness)
    for name, module in config.modules.items():
        yield from _module(f"modules.{name}", module)
    for name, token in config.tokens.items():
        yield from _token(f"tokens.{name}", name, token, config.modules)
    if descriptors:
        yield from _descriptors(config.tokens)
    yield from _twins(config.tokens)
    if not config.tokens:
        yield Problem("tokens", "names no token: there would be nothing to sign with")


def _witness(witness: Witness) -> Iterator[Problem]:
    if (witness.file is None) == (witness.command is None):
        yield Problem("audit.witness", "needs one of file and command")
    elif witness.command is not None:
        yield from files.check_program("audit.witness.command", witness.command[0])


def _folders(config: Config) -> Iterator[Problem]:
    yield from files.check_folder("state_dir", config.state_dir)
    yield from files.check_folder("runtime_dir", config.runtime_dir)
    length = len(os.fsencode(config.officer_socket))
    if length > SUN_PATH:
        key = "officers.socket" if config.officers.socket else "runtime_dir"
        yield Problem(
            key, f"makes a socket path of {length} octets; {SUN_PATH} is the limit: choose a shorter one"
        )


def _module(key: str, module: Module) -> Iterator[Problem]:
    yield from files.check_trusted(f"{key}.path", module.path)
    for name, value in module.environment.items():
        at = f"{key}.environment.{name}"
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            yield Problem(at, "is no name for an environment variable, or its value holds a NUL")
        elif _LOADER.fullmatch(name.upper()):
            yield Problem(at, "changes which code the worker runs, and is not taken")
        elif _SECRET.fullmatch(name.upper()):
            yield Problem(
                at, "looks like a secret; a PIN is given as tokens.NAME.pin, never in the environment"
            )


def _token(key: str, name: str, token: Token, modules: Mapping[str, Module]) -> Iterator[Problem]:
    try:
        TokenName.parse(name)
    except BadName as error:
        yield Problem(key, str(error))
    if token.module not in modules:
        known = ", ".join(sorted(modules)) or "none"
        yield Problem(f"{key}.module", f"names {token.module!r}, which is not among the modules ({known})")
    if token.label is None and token.serial is None:
        yield Problem(key, "needs a label, a serial, or both, to be found by")
    if isinstance(token.pin, PinFile):
        yield from files.check_secret(f"{key}.pin.path", token.pin.path)
    if isinstance(token.pin, PinCredential) and not os.environ.get(CREDENTIALS):
        yield Problem(
            f"{key}.pin.name", f"there are no credentials here: systemd sets {CREDENTIALS} for its services"
        )
    if isinstance(token.pin, PinPad) and token.workers != 1:
        yield Problem(
            f"{key}.workers", 'must be 1 with pin.source = "pad": each worker would want the PIN typed'
        )
    for number, path in enumerate(token.public_keys):
        yield from certificates.check_public_key(f"{key}.public_keys[{number}]", path)
    for number, path in enumerate(token.certificates):
        yield from certificates.check_certificates(f"{key}.certificates[{number}]", path)


def _descriptors(tokens: Mapping[str, Token]) -> Iterator[Problem]:
    for name, token in tokens.items():
        if isinstance(token.pin, PinDescriptor):
            yield from files.check_descriptor(f"tokens.{name}.pin.number", token.pin.number)


def _twins(tokens: Mapping[str, Token]) -> Iterator[Problem]:
    """Two entries that may find the same token would log in twice and spend its PIN tries twice."""
    seen: dict[tuple[str, str, str], str] = {}
    for name, token in tokens.items():
        for kind, value in (("label", token.label), ("serial", token.serial)):
            if value is None:
                continue
            other = seen.setdefault((token.module, kind, value), name)
            if other != name and _overlap(tokens[other], token):
                yield Problem(f"tokens.{name}", f"may be the same token as tokens.{other}: the same {kind}")


def _overlap(one: Token, other: Token) -> bool:
    """Whether one token could answer to both."""
    return all(
        a is None or b is None or a == b for a, b in ((one.label, other.label), (one.serial, other.serial))
    )
