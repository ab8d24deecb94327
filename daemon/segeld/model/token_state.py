"""What a token is doing, and which moves there are: compared by a test with the proto and the documentation."""

import enum
from collections.abc import Mapping
from typing import Final


class TokenState(enum.StrEnum):
    """The states of `segel.v1.Token.State`, without its prefix."""

    ABSENT = "ABSENT"
    INACTIVE = "INACTIVE"
    STARTING = "STARTING"
    ACTIVE = "ACTIVE"
    RECOVERING = "RECOVERING"
    LOCKED = "LOCKED"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"


_S = TokenState
MOVES: Final[Mapping[TokenState, frozenset[TokenState]]] = {
    _S.STARTING: frozenset({_S.ABSENT, _S.INACTIVE, _S.ACTIVE, _S.LOCKED, _S.FAILED}),
    _S.ABSENT: frozenset({_S.STARTING}),
    _S.FAILED: frozenset({_S.STARTING}),
    _S.INACTIVE: frozenset({_S.STARTING, _S.RECOVERING, _S.ABSENT}),
    _S.ACTIVE: frozenset({_S.RECOVERING, _S.INACTIVE, _S.QUARANTINED}),
    _S.RECOVERING: frozenset(
        {_S.ACTIVE, _S.STARTING, _S.INACTIVE, _S.LOCKED, _S.ABSENT, _S.FAILED, _S.QUARANTINED}
    ),
    _S.LOCKED: frozenset({_S.STARTING}),
    _S.QUARANTINED: frozenset({_S.STARTING}),
}
