"""`python -m segeld.worker --control FD --pin FD`: two inherited sockets, and no other way in or out."""

import sys

from segeld.worker.serve import main

main(sys.argv[1:])
