"""`segelctl slot list`"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from segel.cli.exit_codes import ExitCode
from segel.cli.session import Session, session_command

if TYPE_CHECKING:
    from segel.models import Slot

app = typer.Typer(no_args_is_help=True, help="Slots of the configured modules.")

_LIST = """\
Examples:
  segelctl slot list
  segelctl slot list --json | jq -r 'select(.token) | .token.serial'

Ends with 1 if a module could not be asked.

On a terminal only what tells tokens apart is shown; --wide shows all.

Columns off a terminal: slot, its description, label, serial number and model of the token in it, the token's name here, flags."""


Wide = Annotated[bool, typer.Option("--wide", help="Every column, however long the lines get.")]
_COLUMNS = ("SLOT", "DESCRIPTION", "LABEL", "SERIAL", "MODEL", "NAME", "FLAGS")
_SHORT = (0, 2, 3, 5)


async def list_slots(session: Session, wide: Wide = False) -> ExitCode:
    """List the slots of every configured module, used or not."""
    async with session.officer() as officer:
        slots = await officer.slots()
    if session.output.is_for_people:
        shown = range(len(_COLUMNS)) if wide else _SHORT
        rows = [[_row(slot)[number] for number in shown] for slot in slots]
        # A token's name is copied: it is never cut.
        session.output.lines([_COLUMNS[number] for number in shown], rows, cut=False)
    else:
        for slot in slots:
            session.output.record(_record(slot), *_row(slot))
    for module in slots.unreachable:
        session.output.error(module)
    return ExitCode.FAILED if slots.unreachable else ExitCode.OK


session_command(app, "list", epilog=_LIST)(list_slots)


def _row(slot: "Slot") -> tuple[str, ...]:
    found = slot.token
    if found is None:
        return slot.name, slot.description, "(empty)", "", "", "", ""
    flags = ",".join(flag.removeprefix("CKF_") for flag in found.flags)
    return (
        slot.name,
        slot.description,
        found.label,
        found.serial,
        found.model,
        found.token or "(not used)",
        flags,
    )


def _record(slot: "Slot") -> dict[str, Any]:
    found = slot.token
    return {
        "name": slot.name,
        "description": slot.description,
        "manufacturer": slot.manufacturer,
        "token": found
        and {
            "label": found.label,
            "serial": found.serial,
            "manufacturer": found.manufacturer,
            "model": found.model,
            "flags": list(found.flags),
            "token": found.token,
        },
    }
