"""Work of any shape, for tests of lanes and of the waiting room."""

from segeld.dispatch.work import Work
from segeld.model.algorithm import Algorithm, EcdsaEncoding
from segeld.model.kind import Kind
from segeld.model.names import KeyName
from segeld.model.priority import Priority

KEYS = [KeyName(bytes([number]) * 32) for number in range(3)]


class FakeWork(Work):
    patient = False

    def __init__(
        self,
        caller: str,
        count: int,
        key: KeyName = KEYS[0],
        algorithm: Algorithm = Algorithm.RSA_PKCS1_SHA256,
        *,
        size: int = 32,
        priority: Priority = Priority.NORMAL,
        urgent: bool = False,
    ) -> None:
        kind = Kind(key, algorithm, EcdsaEncoding.DER)
        super().__init__(caller, kind, priority, urgent=urgent, attempts=3)
        self.count = count
        self.size = size
        self.waiting.extend(range(count))
        self.ended = {}

    deadline_at = 2**62
    abandoned = False
    mark = None

    def input(self, position):
        return bytes(self.size)

    def unwanted(self):
        return None

    def end(self, position, outcome):
        self.ended.setdefault(position, outcome)

    def has_ended(self, position):
        return position in self.ended

    def end_waiting(self, fault):
        while self.waiting:
            self.end(self.waiting.popleft(), fault)

    end_beside = refuse = end_waiting

    def granted(self):
        pass

    def learn(self, known):
        raise AssertionError
