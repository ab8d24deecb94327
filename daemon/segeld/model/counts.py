"""Counts in sentences: `1 item waits`, `2 items wait`."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it is of.

    :param many: the plural, where it is not `one` and an s.
    """
    return f"{number} {fitting(number, one, many)}"


def fitting(number: float, one: str, many: str = "") -> str:
    """The word that goes with so many, a noun or a verb."""
    return one if number == 1 else many or f"{one}s"
