"""The gRPC channel: options that make it small, plain and quick to come back."""

from collections.abc import Sequence
from typing import Final

import grpc
import grpc.aio

from segel._target import Target
from segel._tls import Pem

_MIB: Final = 1024 * 1024

_OPTIONS: Final[Sequence[tuple[str, int | str]]] = (
    # Retries are ours: gRPC's end at 256 KiB and know nothing of request ids.
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    # No TXT record decides how signatures are asked for.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 16 * _MIB),
    ("grpc.max_send_message_length", 1 * _MIB),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Despite its name, the time that one attempt may take, handshake included.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # Below 300 s a server with default settings takes pings for an attack. A peer that died with something
    # unacknowledged is found sooner: this time-out is also TCP_USER_TIMEOUT.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 15_000),
)


def open_channel(target: Target, pem: Pem, server_name: str) -> grpc.aio.Channel:
    """A channel over mutual TLS; connects when it is first used. To be made in the loop that uses it."""
    options: list[tuple[str, int | str]] = [*_OPTIONS]
    if server_name != target.host:
        options += [("grpc.ssl_target_name_override", server_name), ("grpc.default_authority", server_name)]
    credentials = grpc.ssl_channel_credentials(
        root_certificates=pem.ca, private_key=pem.key, certificate_chain=pem.cert
    )
    # dns: with a literal address resolves to itself; without the scheme, a host called "unix" would be one.
    address = str(target) if target.path else f"dns:{target}"
    return grpc.aio.secure_channel(address, credentials, options=options)
