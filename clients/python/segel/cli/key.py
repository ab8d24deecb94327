"""`segel key list` and `segel key show`"""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segel.cli.beginnings import shortened, whole_key
from segel.cli.completing import complete_key
from segel.cli.failures import naming
from segel.cli.session import Session, full_key_name, session_command

if TYPE_CHECKING:
    from segel import Key

app = typer.Typer(no_args_is_help=True, help="Keys that you may use.")

_LIST = """\
Examples:
  segel key list
  segel key list | cut -f1

On a terminal keys are sorted by alias, and their immutable names are cut to what tells them apart, which commands take too; --wide shows all.

Columns off a terminal: name, aliases, state, algorithms, holder of the certificate, why it cannot sign."""

_SHOW = """\
Examples:
  segel key show keys/seal-2026
  segel key show keys/seal-2026 --pem > chain.pem"""

Name = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="ALIAS or sha256-…, with or without keys/; its first digits will do, 8 at least.",
        show_default=False,
        autocompletion=complete_key,
    ),
]
Wide = Annotated[bool, typer.Option("--wide", help="Every column in full, however long the lines get.")]
Pem = Annotated[bool, typer.Option("--pem", help="The certificate chain in PEM, and nothing else.")]


async def list_keys(session: Session, wide: Wide = False) -> None:
    """List the keys that you may use."""
    async with session.client() as client:
        keys = await client.keys()
    if session.output.is_for_people and keys:
        _print_for_people(session, keys, wide=wide)
    for key in () if session.output.is_for_people else keys:
        columns = (key.name, ",".join(key.aliases), key.state, ",".join(key.algorithms))
        session.output.record(_record(key), *columns, _holder(key), key.state_reason)
    if not keys and not session.json:
        session.output.note("You may use no key. Ask an officer for a grant.")


def _print_for_people(session: Session, keys: Sequence["Key"], *, wide: bool) -> None:
    ordered = sorted(keys, key=lambda key: (not key.aliases, key.aliases, key.name))
    if wide:
        columns: tuple[str, ...] = ("ALIAS", "KEY", "STATE", "ALGORITHMS", "CERTIFICATE", "REASON")
        rows: list[tuple[object, ...]] = [
            (_aliases(key), key.name, key.state, ",".join(key.algorithms), _holder(key), key.state_reason)
            for key in ordered
        ]
    else:
        columns = ("ALIAS", "KEY", "STATE", "CERTIFICATE, OR WHY IT CANNOT SIGN")
        short = shortened([key.name for key in ordered])
        rows = [
            (_aliases(key), short[key.name], key.state, key.state_reason or _holder(key)) for key in ordered
        ]
    session.output.lines(columns, rows, cut=not wide)


def _aliases(key: "Key") -> str:
    return ",".join(key.aliases) or "-"


async def show(session: Session, name: Name, pem: Pem = False) -> None:
    """Show one key, with its certificates."""
    async with session.client() as client:
        asked = await whole_key(full_key_name(name), client.keys)
        with naming(asked):
            key = await client.key(asked)
    if pem:
        for certificate in key.certificate_chain:
            session.output.line(_pem(certificate))
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
