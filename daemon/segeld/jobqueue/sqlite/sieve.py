"""What a filter says, as conditions of SQL."""

from segeld.model.job import JobFilter
from segeld.model.job_state import SIGNABLE, JobState


class Sieve:
    """Conditions that all must hold, and the values for their question marks, in order."""

    def __init__(self, wanted: JobFilter) -> None:
        self._conditions: list[str] = []
        self.bindings: list[str | int | float | bytes] = []
        if wanted.states:
            self._states(wanted.states)
        if wanted.key is not None:
            self.add("key = ?", wanted.key.fingerprint)
        if wanted.request_id:
            self.add("request_id = ?", wanted.request_id)
        for name, value in wanted.labels:
            self.add("EXISTS (SELECT 1 FROM json_each(labels) WHERE key = ? AND value = ?)", name, value)

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "TRUE"

    def add(self, condition: str, *values: str | float | bytes) -> None:
        self._conditions.append(condition)
        self.bindings += values

    def _states(self, states: frozenset[JobState]) -> None:
        """A pause is a mark on a state that is queued or running: see `job_rows`."""
        plain = sorted(str(state) for state in states - {JobState.PAUSED})
        among = f"state IN ({', '.join('?' * len(plain))})"
        if JobState.PAUSED in states:
            self.add(f"({among} AND paused IS NULL OR paused IS NOT NULL)", *plain)
        elif states & SIGNABLE:
            self.add(f"{among} AND paused IS NULL", *plain)
        else:
            self.add(among, *plain)
