"""A token's name and where its PIN comes from, as options."""

from pathlib import Path
from typing import Annotated

import typer

from segeld.ctl.completing import complete_token

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The token's name, with or without tokens/.",
        show_default=False,
        autocompletion=complete_token,
    ),
]
PinFile = Annotated[
    Path | None, typer.Option("--pin-file", help="A file with the PIN that only you or root can read.")
]
PinFd = Annotated[
    int | None, typer.Option("--pin-fd", metavar="N", help="An open descriptor to read the PIN from.")
]


def full_name(name: str) -> str:
    return name if name.startswith("tokens/") else f"tokens/{name}"
