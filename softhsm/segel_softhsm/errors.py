"""The one error of this package."""

from typing import ClassVar


class TestbedError(Exception):
    """A testbed cannot be made or read; the text says why and what to do next."""

    __test__: ClassVar[bool] = False  # the name begins with "Test": pytest must not collect it
