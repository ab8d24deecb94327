"""The testbed as callers see it: what `provision` returns, and `Testbed.load` reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from segel_softhsm import conf, layout
from segel_softhsm.errors import TestbedError
from segel_softhsm.module import find_module
from segel_softhsm.parts import TestPki, TestToken
from segel_softhsm.record import read_record


@dataclass(frozen=True, slots=True)
class Testbed:
    """A folder with tokens and certificates."""

    __test__: ClassVar[bool] = False

    directory: Path
    module: Path
    tokens: tuple[TestToken, ...]
    pki: TestPki

    @property
    def softhsm2_conf(self) -> Path:
        """The SoftHSM2 configuration that shows these tokens and no others."""
        return self.directory / layout.SOFTHSM2_CONF

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment, before it loads the module, to see the tokens."""
        return {"SOFTHSM2_CONF": str(self.softhsm2_conf)}

    def token(self, label: str) -> TestToken:
        """Return the token of this label; KeyError if there is none."""
        for token in self.tokens:
            if token.label == label:
                return token
        raise KeyError(label)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read a testbed that `provision` finished; correct softhsm2.conf if the folder was moved.

        :raises TestbedError: there is none, it is unfinished, or SoftHSM2 is not installed.
        """
        directory = directory.absolute()
        record = read_record(directory)
        if record is None:
            raise TestbedError(
                f"{directory} holds no finished testbed; make one: python -m segel_softhsm {directory}"
            )
        module = find_module()
        conf.refresh(directory)
        return cls(directory, module, record.tokens, record.pki)

    def to_json(self) -> bytes:
        """Return the description with absolute paths, for people and other programs."""
        view = {
            "directory": self.directory,
            "module": self.module,
            "environment": self.environment,
            "tokens": self.tokens,
            "pki": self.pki,
        }
        return msgspec.json.format(msgspec.json.encode(view, enc_hook=str)) + b"\n"
