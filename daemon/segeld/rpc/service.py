"""A service for officers and auditors, ready to be served: each module of a service makes its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc


@dataclass(frozen=True, slots=True)
class OfficerService:
    """Served on the officer listener, behind the guard, with a health entry of its own."""

    name: str
    """In full, such as `segel.v1.Changes`."""
    servicer: Any
    add: Callable[[Any, grpc.aio.Server], None]
    """The generated `add_…Servicer_to_server`."""
