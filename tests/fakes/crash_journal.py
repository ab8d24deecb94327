"""What clients were told, noted at the moment they were told. Compared with everything at the end."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

Receipt = tuple[bytes, int, int]
"""A signature, and where the log has it: leaf and position."""


@dataclass
class Asked:
    """A request with an id, however often it was sent."""

    caller: str
    request_id: str
    digests: tuple[bytes, ...]
    got: dict[int, Receipt] = field(default_factory=dict)
    lost: bool = False
    """What is missing was lost with its worker so often that it is not tried again."""

    @property
    def answered(self) -> bool:
        return self.lost or len(self.got) == len(self.digests)


@dataclass
class Story:
    """A job, from its first items to its last result."""

    caller: str
    request_id: str
    digests: tuple[bytes, ...]
    name: str = ""
    committed: int = 0
    """Items that the daemon said it has."""
    sealed: bool = False
    cancelled: bool = False
    deleted: bool = False
    got: dict[int, Receipt | str] = field(default_factory=dict)
    """A signature, or the reason why there is none."""
    state: str = ""

    @property
    def id(self) -> bytes:
        return bytes.fromhex(self.name.removeprefix("jobs/"))


@dataclass
class Journal:
    asked: list[Asked] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    repeated: int = 0
    """Answers to what had been answered before."""
    resent: int = 0

    def note(self, of: Asked | Story, position: int, told: Receipt | str) -> None:
        """What was told once is told for ever."""
        before = of.got.setdefault(position, told)
        if before != told:
            self.say(f"{of.caller} {of.request_id}[{position}]: told {_short(before)}, then {_short(told)}")

    def committed(self, story: Story, count: int) -> None:
        """A number of items never goes back."""
        if count < story.committed:
            self.say(f"{story.name} had {story.committed} items, and now {count}")
        story.committed = max(story.committed, count)

    def say(self, text: str) -> None:
        self.wrong.append(text)


def digests_of(what: str, count: int) -> tuple[bytes, ...]:
    """No digest is there twice in a run."""
    return tuple(hashlib.sha256(f"{what} {number}".encode()).digest() for number in range(count))


def _short(told: Receipt | str | Sequence[object]) -> str:
    if isinstance(told, str):
        return told
    return f"{told[0].hex()[:24]}… at {told[1]}/{told[2]}"
