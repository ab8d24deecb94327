"""Addresses as people write them: `host:port`, `[v6]:port`."""

import ipaddress
from collections.abc import Iterator

from segeld.config.schema import Config
from segeld.config.strict import Problem


def split(address: str) -> tuple[str, int]:
    """Host and port of an address.

    :raises ValueError: if it is not host:port with a port of 0 to 65535.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"{address!r} is not host:port")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise ValueError(f"{address!r}: an IPv6 address stands in brackets, as in [::1]:7443")
    return (host[1:-1] if bracketed else host), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name other than localhost counts as outside."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check(config: Config) -> Iterator[Problem]:
    """Every address must be one; in dev mode it must be on this machine."""
    given = [("listen.address", config.listen.address)]
    if config.officers.address is not None:
        given.append(("officers.address", config.officers.address))
    if config.metrics is not None:
        given.append(("metrics.address", config.metrics.address))
    seen: dict[str, str] = {}
    for key, address in given:
        try:
            host, port = split(address)
        except ValueError as error:
            yield Problem(key, str(error))
            continue
        if config.dev and not is_loopback(host):
            yield Problem(key, "must be a loopback address in dev mode")
        if port and (other := seen.setdefault(address, key)) != key:
            yield Problem(key, f"is the same as {other}")
