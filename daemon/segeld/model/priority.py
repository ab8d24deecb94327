"""How urgent work is: the first thing that the dispatcher looks at."""

import enum


class Priority(enum.IntEnum):
    """Lower goes first. The policy says which is the highest that a caller gets."""

    INTERACTIVE = 0
    """`Sign` and `SignStream`: somebody waits."""
    NORMAL = 1
    """Jobs."""
    LOW = 2
    """Jobs that give way to other jobs."""
