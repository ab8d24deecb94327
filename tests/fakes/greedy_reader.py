"""The process that looks at what was added to a PDF, with a PDF that is made to need all of the machine."""

import os

from segeld.ctl import audit_later_process


def greedy(_stream):
    if os.environ["GREEDY"] == "memory":
        bytearray(audit_later_process.MOST_MEMORY)
    while os.environ["GREEDY"] == "time":
        pass
    raise ValueError("first line\nsecond \x1b[31mline")


audit_later_process.after_signatures = greedy
audit_later_process.MOST_SECONDS = 1
audit_later_process.main()
