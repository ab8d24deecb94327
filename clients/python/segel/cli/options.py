"""The options that every command takes."""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, get_type_hints

import typer

_PANEL = "Connection and output"

Target = Annotated[
    str | None,
    typer.Option("--target", metavar="HOST:PORT", help="The daemon.", rich_help_panel=_PANEL),
]
Ca = Annotated[
    str | None,
    typer.Option("--ca", metavar="PEM", help="Who certifies the daemon.", rich_help_panel=_PANEL),
]
Cert = Annotated[
    str | None,
    typer.Option("--cert", metavar="PEM", help="Your certificate.", rich_help_panel=_PANEL),
]
TlsKey = Annotated[
    str | None,
    typer.Option("--tls-key", metavar="PEM", help="Its private key.", rich_help_panel=_PANEL),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.", rich_help_panel=_PANEL)]


def show_options(command: Callable[..., None], own: Sequence[inspect.Parameter]) -> None:
    """Gives `command` the signature that typer reads: the context, its own options, and the common ones."""
    hints = get_type_hints(_common, include_extras=True)
    common = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(_common).parameters.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *common]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _common(
    *,
    target: Target = None,
    ca: Ca = None,
    cert: Cert = None,
    tls_key: TlsKey = None,
    json: Json = False,
) -> None:
    """The options that are added to every command."""
