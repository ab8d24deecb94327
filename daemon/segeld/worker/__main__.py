"""`python -m segeld.worker --control FD --pin FD`: two inherited sockets, and no other way in or out."""

import gc
import sys

gc.disable()  # what is imported stays: the collector need not look at it, now or later

from segeld.worker.serve import main  # noqa: E402

gc.freeze()
gc.enable()
main(sys.argv[1:])
