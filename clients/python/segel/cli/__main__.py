"""`python -m segel.cli`: the command segel."""

from segel.cli.main import main

main()
