"""What a new job is, but for its items."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import NamedTuple

from segel._algorithms import Algorithm
from segel._convert import NUMBER_OF
from segel._convert_jobs import NUMBER_OF_PRIORITY
from segel._job import Ecdsa, Priority
from segel.models import Key
from segel.v1 import jobs_pb2 as jobs
from segel.v1 import resources_pb2 as resources

Choose = Callable[[Key, Algorithm | None], Algorithm]
"""How a key is to sign if that was wanted; raises if it cannot."""

_ENCODING = {"der": resources.ECDSA_ENCODING_DER, "p1363": resources.ECDSA_ENCODING_P1363}


class Header(NamedTuple):
    """See `Jobs.create`."""

    request_id: str
    key: str
    algorithm: Algorithm
    ecdsa: Ecdsa
    priority: Priority
    labels: Mapping[str, str]
    deadline: dt.datetime | dt.timedelta | None
    retention: dt.timedelta | None

    def message(self) -> jobs.CreateJobRequest:
        """As it is sent.

        :raises ValueError: for a word that there is not, or a deadline without a time zone.
        """
        if self.ecdsa not in _ENCODING:
            raise ValueError(f"ecdsa is 'der' or 'p1363', not {self.ecdsa!r}")
        if self.priority not in NUMBER_OF_PRIORITY:
            raise ValueError(f"priority is 'normal' or 'low', not {self.priority!r}")
        message = jobs.CreateJobRequest(
            request_id=self.request_id,
            key=self.key,
            algorithm=NUMBER_OF[self.algorithm],
            ecdsa_encoding=_ENCODING[self.ecdsa],
            priority=NUMBER_OF_PRIORITY[self.priority],
            labels=self.labels,
        )
        deadline = self.deadline
        if isinstance(deadline, dt.timedelta):
            deadline = dt.datetime.now(dt.UTC) + deadline
        if deadline is not None:
            if deadline.tzinfo is None:
                raise ValueError("a deadline needs a time zone")
            message.deadline.FromDatetime(deadline.astimezone(dt.UTC).replace(tzinfo=None))
        if self.retention is not None:
            message.retention.FromTimedelta(self.retention)
        return message
