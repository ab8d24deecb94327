"""What the commands `segel` and `segelctl` end with. A contract: scripts depend on it."""

import enum
from typing import Final


class ExitCode(enum.IntEnum):
    """The numbers, and in `MEANING` what they mean."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_CONNECTED = 3
    NOT_ALLOWED = 4
    OFFICER_NEEDED = 5
    SIGNER_NOT_CHECKED = 6
    BAD_SIGNATURE = 7
    NO_SIGNATURE = 8
    TRY_LATER = 9
    JOB_CANCELLED = 10
    JOB_EXPIRED = 11
    JOB_REJECTED = 12
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141
    TERMINATED = 143


MEANING: Final = {
    ExitCode.OK: "all is well",
    ExitCode.FAILED: "some or all of it failed",
    ExitCode.USAGE: "the command line or a setting is wrong; nothing was done",
    ExitCode.NOT_CONNECTED: "no connection to the daemon",
    ExitCode.NOT_ALLOWED: "not allowed, or no such key, token or job",
    ExitCode.OFFICER_NEEDED: "the token or key needs an officer",
    ExitCode.SIGNER_NOT_CHECKED: "verify: intact, but the signer was not checked",
    ExitCode.BAD_SIGNATURE: "verify: changed, broken or not trusted",
    ExitCode.NO_SIGNATURE: "no signature: none in the file, or none like it in the log",
    ExitCode.TRY_LATER: "busy or away at the moment; try again later",
    ExitCode.JOB_CANCELLED: "job: it was cancelled",
    ExitCode.JOB_EXPIRED: "job: its deadline passed, or it was never sealed",
    ExitCode.JOB_REJECTED: "job: an approver said no",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.OUTPUT_CLOSED: "whoever read the output closed it",
    ExitCode.TERMINATED: "ended by SIGTERM or SIGHUP",
}


def of_many(codes: list[ExitCode]) -> ExitCode:
    """One code for many items: what all agree on, else that some failed."""
    distinct = set(codes) or {ExitCode.OK}
    return distinct.pop() if len(distinct) == 1 else ExitCode.FAILED


def describe(*codes: ExitCode) -> str:
    """The codes as lines for a help text; all of them if none are named."""
    return "\n".join(f"  {code.value:>3}  {MEANING[code]}" for code in codes or tuple(ExitCode))
