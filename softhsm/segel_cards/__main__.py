"""The command: `python -m segel_cards DIR`, and with words behind it, an order to the card of that folder."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from segel_cards.card import Card
from segel_cards.errors import CardError
from segel_cards.modules import OPENSC, YKCS11

_EPILOG = """\
example:
  python -m segel_cards /tmp/card                  a card in a reader, until Ctrl-C or the end of its parent
  python -m segel_cards /tmp/card --yubikey        the same, as Yubico's module wants it
  python -m segel_cards /tmp/card --run 'pkcs11-tool --module "$MODULE" -L'
  python -m segel_cards /tmp/card remove           to one that is running; insert, status, mute [verify|sign|any],
                                                   unmute, delay SECONDS, tries N, refuse 6f00 [COUNT],
                                                   corrupt [COUNT], drop (in the middle of the next signature)

The PIN is 123456, the PUK 12345678, and after three wrong ones either is locked: delete the folder for a new card.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 not possible (the text says why), 2 wrong use."""
    options = _parser().parse_args(arguments)
    try:
        if options.order:
            return _order(options.directory, options.order)
        with Card(options.directory, YKCS11 if options.yubikey else OPENSC) as card:
            return _show(card) if options.run is None else card.run(["sh", "-c", options.run])
    except (CardError, OSError) as error:
        print(f"segel_cards: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m segel_cards",
        description="Run a virtual PIV card in a virtual reader, or give an order to one that runs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="the card's folder; it is made if missing"
    )
    parser.add_argument("order", nargs="*", metavar="ORDER", help="what to do with the card that is running")
    parser.add_argument("--yubikey", action="store_true", help="pose as a YubiKey, for libykcs11")
    parser.add_argument(
        "--run", metavar="COMMAND", help="run this in a shell that sees the card, then end the card's reader"
    )
    return parser


def _show(card: Card) -> int:
    """Prints what a shell needs, then waits for the end of standard input, or of the terminal's patience."""
    for name, value in card.variables.items():
        print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    try:
        card.wait()
    except KeyboardInterrupt:
        return 0
    return 0


def _order(folder: Path, words: list[str]) -> int:
    status = Card.control_of(folder).order(*words)
    if status is not None:
        print(msgspec.json.format(msgspec.json.encode(status)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
