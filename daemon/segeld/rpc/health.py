"""`grpc.health.v1.Health` of one server: the whole of it and each of its services. It names no token and no key."""

# ruff: noqa: ARG002, N802 - names and arguments are those of the service

from collections.abc import Iterable
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as grpc_health

WHOLE: Final = ""
"""The name that the health protocol gives to a server as a whole."""


class Health(grpc_health.HealthServicer):  # type: ignore[misc]  # the library has no types
    """The library's servicer, with `List`, and closed to names that are not served here."""

    def __init__(self, services: Iterable[str]) -> None:
        super().__init__()
        self._shown = dict.fromkeys((WHOLE, *services), True)

    async def start(self) -> None:
        for service, serving in self._shown.items():
            await self.show(service, serving=serving)

    async def show(self, service: str, *, serving: bool) -> None:
        """Says how a service is. After `enter_graceful_shutdown` nothing changes any more."""
        self._shown[service] = serving
        await self.set(service, _word(serving))

    async def enter_graceful_shutdown(self) -> None:
        self._shown = dict.fromkeys(self._shown, False)
        await super().enter_graceful_shutdown()

    async def List(self, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        answers = {
            name: health_pb2.HealthCheckResponse(status=_word(serving))
            for name, serving in self._shown.items()
        }
        return health_pb2.HealthListResponse(statuses=answers)


def _word(serving: bool) -> Any:
    answer = health_pb2.HealthCheckResponse
    return answer.SERVING if serving else answer.NOT_SERVING
