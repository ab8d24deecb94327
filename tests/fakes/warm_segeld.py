"""`segeld serve` that has imported everything and waits for a line on its standard input: half of a start is over."""

import sys

from segeld.cli.main import main

if __name__ == "__main__":
    if sys.stdin.readline():
        main()
