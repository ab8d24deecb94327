"""A recorder of acts that keeps them in a list."""

from segeld.audit.acts import Acts


class FakeRecorder:
    def __init__(self) -> None:
        self.leaves = []

    async def record(self, leaf):
        self.leaves.append(leaf)
        return len(self.leaves) - 1


def acts() -> Acts:
    return Acts(FakeRecorder())
