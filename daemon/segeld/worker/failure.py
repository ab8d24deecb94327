"""A request that could not be done: raised where it shows, answered as `Failed` in one place."""

from typing import Final, Self

from pkcs11 import exceptions

from segeld.ipc.worker_wire import Failed, Remedy
from segeld.model.faults import Reason
from segeld.worker import faults
from segeld.worker.pkcs11_errors import ckr_of


class Failure(Exception):
    """Becomes the wire's `Failed`. The text is for officers and the log, and holds no secret."""

    def __init__(
        self,
        reason: Reason,
        remedy: Remedy,
        text: str,
        *,
        ckr: int = 0,
        certain: bool = True,
        blank: tuple[int, ...] = (),
    ) -> None:
        """:param certain: whether surely nothing on the token was changed.
        :param blank: slots with blank tokens, if the one that is meant is not there.
        """
        super().__init__(text)
        self.reason: Final = reason
        self.remedy: Final = remedy
        self.ckr: Final = ckr
        self.text: Final = text
        self.certain: Final = certain
        self.blank: Final = blank

    @classmethod
    def of(cls, ckr: int, doing: str, *, changing: bool = False) -> Self:
        """What the module answered, with the meaning that `faults` gives it.

        :param doing: what was tried, as in `C_OpenSession` or `listing objects`.
        :param changing: whether that changes the token when it is done.
        """
        verdict = faults.verdict(ckr)
        return cls(
            verdict.reason,
            verdict.remedy,
            f"{doing}: the module answered {faults.name(ckr)}",
            ckr=ckr,
            certain=verdict.certain or not changing,
        )

    @classmethod
    def raised(cls, error: exceptions.PKCS11Error, doing: str) -> Self:
        return cls.of(ckr_of(error), doing)

    def answer(self, request: int) -> Failed:
        return Failed(request, self.reason, self.ckr, self.remedy, self.text, self.certain, self.blank)
