"""The command: `python -m segel_softhsm DIR`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from segel_softhsm.errors import TestbedError
from segel_softhsm.kinds import KINDS, parse_kinds
from segel_softhsm.provisioning import provision
from segel_softhsm.testbed import Testbed

_EPILOG = """\
example:
  python -m segel_softhsm /tmp/testbed
  python -m segel_softhsm /tmp/testbed --json
  python -m segel_softhsm /tmp/small --keys rsa2048,p256

Running it again changes nothing. The keys are for tests: their PINs lie beside them.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 not possible (the text says why), 2 wrong use."""
    options = _parser().parse_args(arguments)
    try:
        kinds = None if options.keys is None else parse_kinds(options.keys)
        testbed = provision(options.directory, fresh=options.fresh, kinds=kinds)
    except (TestbedError, OSError) as error:
        print(f"segel_softhsm: {error}", file=sys.stderr)
        return 1
    if options.json:
        sys.stdout.write(testbed.to_json().decode())
    else:
        print("\n".join(_lines(testbed)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m segel_softhsm",
        description="Make throw-away SoftHSM2 tokens and a test PKI in a folder, or find them made.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the folder; it is made if missing")
    parser.add_argument(
        "--fresh", action="store_true", help="start over: delete what an earlier run made in DIR"
    )
    parser.add_argument("--json", action="store_true", help="print the description of the testbed")
    parser.add_argument(
        "--keys",
        metavar="KINDS",
        help=f"keys of the token segel-a, separated by commas (default: {','.join(KINDS)})",
    )
    return parser


def _lines(testbed: Testbed) -> list[str]:
    lines = [f"testbed  {testbed.directory}", f"module   {testbed.module}"]
    for token in testbed.tokens:
        lines.append(f"token    {token.label}  serial {token.serial}  PIN in {token.pin_file}")
        lines += [f"key      {token.label}  {key.label:<12}  {key.cka_id}" for key in token.keys]
    lines.append(f"trust    {testbed.pki.ca_bundle}")
    lines.append(f"clients  {' '.join(testbed.pki.identities)}")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in testbed.environment.items()]
    return lines


if __name__ == "__main__":
    sys.exit(main())
