"""How a call was refused."""

from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class Refusal:
    """How a call was refused, taken apart."""

    code: grpc.StatusCode
    text: str
    status: status_pb2.Status
    trailers: dict

    @property
    def reason(self) -> str:
        return self.detail(error_details_pb2.ErrorInfo).reason

    def detail(self, kind):
        return detail_of(self.status, kind)


def detail_of(status, kind):
    """The one detail of that kind."""
    found = kind()
    (packed,) = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
    packed.Unpack(found)
    return found
