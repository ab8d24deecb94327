"""Starts the command `segel`; says what to install where a part of it is missing."""

import sys


def main() -> None:
    try:
        from segel.cli.app import app
        from segel.cli.session import start
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "segel":
            raise
        print("error: the command segel needs: pip install 'segel[cli]'", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    start(app)


if __name__ == "__main__":
    main()
