"""Letters that are sealed, and a log that knows of it."""

import asyncio
import hashlib
import io

from typer.testing import CliRunner

from segel.pdf import PdfSealer, SealOptions
from segeld.audit.frontier import Frontier
from segeld.audit.identity import open_log
from segeld.audit.leaf import Intent, Outcome, PartRange, encode
from segeld.audit.writer import Writer
from segeld.ctl.main import app
from segeld.model.algorithm import Algorithm

AT = 1_790_000_000_000


def seal(signer, document: bytes, **options) -> bytes:
    target = io.BytesIO()
    asyncio.run(PdfSealer(signer, SealOptions(**options)).seal(io.BytesIO(document), target))
    return target.getvalue()


class Log:
    """A log that says of some signatures that they were made."""

    def __init__(self, folder) -> None:
        self.own = open_log(folder)
        self.leaves = [encode(self.own.opened(AT))]

    def says(self, signer, *values: bytes) -> None:
        for value in values:
            key = hashlib.sha256(signer.key.public_key).digest()
            made = self.own.commitments.of(hashlib.sha256(value).digest())
            intent = Intent(
                AT,
                "tax",
                key,
                Algorithm[str(signer.algorithm)].number,
                "tokens/seal",
                (PartRange(b"", 0, 1),),
                self.own.commitments.of_list((made,)),
            )
            outcome = Outcome(AT, len(self.leaves), made, hashlib.sha256(value).digest(), ())
            self.leaves += [encode(intent), encode(outcome)]

    def find(self, path, *more: str):
        writer = Writer(self.own.folder, self.own.signer, Frontier(), [])
        writer.publish(0, self.leaves)
        writer.close()
        key = str(self.own.signer.verifier)
        return CliRunner().invoke(
            app, ["audit", "find", str(path), "--dir", str(self.own.folder), "--key", key, *more]
        )
