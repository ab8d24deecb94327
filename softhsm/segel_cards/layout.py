"""The rig's runtime folder. Short: a socket's path has at most 107 octets."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Runtime:
    folder: Path

    @property
    def run(self) -> Path:
        """What pcscd sees as /run: the path of its socket is compiled in."""
        return self.folder / "run"

    @property
    def pcscd_socket(self) -> Path:
        return self.run / "pcscd" / "pcscd.comm"

    @property
    def readers(self) -> Path:
        """Its configuration."""
        return self.folder / "readers"

    @property
    def log(self) -> Path:
        return self.folder / "pcscd.log"

    @property
    def control(self) -> Path:
        return self.folder / "control"
