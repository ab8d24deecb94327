"""What every frame between front and worker is made of."""

import msgspec


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    pass


class Request(Frame, frozen=True):
    """What the front may ask. `segeld.worker.requests` says in which state."""

    id: int


class Answer(Frame, frozen=True):
    id: int


class TokenInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """CK_TOKEN_INFO, texts without padding."""

    label: str
    serial: str
    manufacturer: str
    model: str
    flags: tuple[str, ...]
    min_pin: int
    max_pin: int
