"""TLS files that change are used for new connections; bad ones are not; open connections stay."""

import ssl
import socket

import pytest

from segel.v1 import signing_pb2, signing_pb2_grpc


def serial_shown(daemon) -> int:
    from cryptography import x509

    authority = daemon.authority
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.load_cert_chain(authority.folder / "backoffice.pem", authority.folder / "backoffice.key")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("localhost", daemon.bound.callers), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as shaken,
    ):
        der = shaken.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).serial_number
