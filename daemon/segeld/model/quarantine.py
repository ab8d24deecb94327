"""Why a token is not used until an officer says so."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quarantine:
    since: float
    """Seconds since the epoch."""
    by: str
    """An officer's name; empty: the daemon itself, after signatures that do not verify."""
    why: str

    def __str__(self) -> str:
        """A sentence for officers."""
        day = f"{dt.datetime.fromtimestamp(self.since, dt.UTC):%Y-%m-%d %H:%M} UTC"
        who = f"{self.by} put it in quarantine" if self.by else "The daemon put it in quarantine by itself"
        return f"{who} on {day}: {self.why.rstrip('.')}."
