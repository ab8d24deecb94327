"""`python -m segeld.ctl`: the command segelctl."""

from segeld.ctl.main import main

main()
