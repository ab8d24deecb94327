"""`segel key list` and `segel key show`"""

import base64
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segel.cli.session import Session, session_command

if TYPE_CHECKING:
    from segel import Key

app = typer.Typer(no_args_is_help=True, help="Keys that you may use.")

_LIST = """\
Examples:
  segel key list
  segel key list | cut -f1

Columns: name, aliases, state, algorithms, holder of the certificate, why it cannot sign."""

_SHOW = """\
Examples:
  segel key show keys/seal-2026
  segel key show keys/seal-2026 --pem > chain.pem"""

Name = Annotated[str, typer.Argument(metavar="KEY", help="keys/ALIAS or keys/sha256-….", show_default=False)]
Pem = Annotated[bool, typer.Option("--pem", help="The certificate chain in PEM, and nothing else.")]


async def list_keys(session: Session) -> None:
    """List the keys that you may use."""
    async with session.client() as client:
        keys = await client.keys()
    rows = [
        (
            _record(key),
            (
                key.name,
                ",".join(key.aliases),
                str(key.state),
                ",".join(map(str, key.algorithms)),
                _holder(key),
                key.state_reason,
            ),
        )
        for key in keys
    ]
    session.output.table(("NAME", "ALIASES", "STATE", "ALGORITHMS", "CERTIFICATE", "REASON"), rows)
    if not rows and not session.json:
        session.output.note("You may use no key. Ask an officer for a grant.")


async def show(session: Session, name: Name, pem: Pem = False) -> None:
    """Show one key, with its certificates."""
    async with session.client() as client:
        key = await client.key(name)
    if pem:
        for certificate in key.certificate_chain:
            typer.echo(_pem(certificate))
        return
    facts = {
        "name": key.name,
        "aliases": ", ".join(key.aliases),
        "state": str(key.state),
        "reason": key.state_reason,
        "algorithms": ", ".join(map(str, key.algorithms)),
    }
    for number, certificate in enumerate(key.certificate_chain):
        label = "certificate" if number == 0 else f"issuer {number}"
        facts[label] = _describe(certificate)
    session.output.facts(_record(key), {label: value for label, value in facts.items() if value})


session_command(app, "list", epilog=_LIST)(list_keys)
session_command(app, "show", epilog=_SHOW)(show)


def _record(key: "Key") -> dict[str, Any]:
    return {
        "name": key.name,
        "aliases": list(key.aliases),
        "state": str(key.state),
        "state_reason": key.state_reason,
        "algorithms": [str(algorithm) for algorithm in key.algorithms],
        "public_key": base64.b64encode(key.public_key).decode(),
        "certificate_chain": [
            base64.b64encode(certificate).decode() for certificate in key.certificate_chain
        ],
    }


def _holder(key: "Key") -> str:
    if not key.certificate_chain:
        return "none"
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(key.certificate_chain[0])
    except ValueError:
        return "unreadable"
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    holder = str(names[0].value) if names else certificate.subject.rfc4514_string()
    return f"{holder} until {certificate.not_valid_after_utc:%Y-%m-%d}"


def _describe(encoded: bytes) -> str:
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(encoded)
    except ValueError:
        return "unreadable"
    dates = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
    return f"{certificate.subject.rfc4514_string()}, valid {dates}, serial {certificate.serial_number:x}"


def _pem(encoded: bytes) -> str:
    body = base64.encodebytes(encoded).decode().replace("\n", "")
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----"))
