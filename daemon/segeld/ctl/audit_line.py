"""What the log says of one input, in one line: who, when, with which key, which leaf, and whether that is proven."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from segeld.audit.words import when
from segeld.ctl.audit_seal import Standing, standing
from segeld.ctl.audit_view import item_facts, item_record, key_of
from segeld.model.counts import counted

if TYPE_CHECKING:
    from segel.cli.output import Output
    from segeld.audit.find import Item
    from segeld.ctl.audit_pdf import Seal

_UNCHECKED: Final = "proven; not checked who signed the tree: give --key"
_KEY_SHOWN: Final = len("keys/sha256-") + 16


@dataclass(frozen=True)
class Hit:
    """One attempt at an input."""

    item: "Item"
    verified: bool
    """Whether a key from elsewhere confirms the checkpoint."""
    unproven: str = ""
    """Why it is not proven; empty if it is."""
    seal: "Seal | None" = None

    @cached_property
    def standing(self) -> Standing | None:
        """How the PDF stands to it, if it was found by a PDF."""
        return standing(self.seal, self.item.chunk.intent) if self.seal else None

    @property
    def is_good(self) -> bool:
        return not self.unproven and not (self.standing and self.standing.changed)


def show(output: "Output", hit: Hit, seals: int, size: int, *, verbose: bool) -> None:
    """:param seals: how many signatures are in the PDF, if it is one.
    :param size: leaves of the tree.
    """
    if output.as_json:
        output.record(_record(hit, seals))
    elif verbose:
        output.facts({}, _facts(hit, seals, size))
    else:
        _line(output, *_cells(hit, seals, short=output.is_terminal))


def show_missing(output: "Output", seal: "Seal", seals: int) -> None:
    """Of a PDF in which another signature was found."""
    text = "not in this log: made elsewhere, or in an earlier log"
    if output.as_json:
        output.record(
            {"kind": "missing", "signature_sha256": seal.hash.hex(), "document": _place(seal, seals)}
        )
    else:
        _line(output, f"signature {seal.number} of {seals}", text)


def _line(output: "Output", *cells: str) -> None:
    """A sentence on a terminal, columns off it."""
    if output.is_terminal:
        output.record({}, ", ".join(cells))
    else:
        output.record({}, *cells)


def _cells(hit: Hit, seals: int, *, short: bool) -> list[str]:
    chunk = hit.item.chunk
    assert chunk.outcome is not None
    key = key_of(chunk.intent)
    how = "signed" if hit.item.signature else f"NOT SIGNED ({hit.item.reason})"
    return [
        *([f"signature {hit.seal.number} of {seals}"] if hit.seal and seals > 1 else []),
        f"{how} for {chunk.intent.caller}",
        when(chunk.outcome.at),
        f"{key[:_KEY_SHOWN]}…" if short and len(key) > _KEY_SHOWN else key,
        f"leaf {chunk.outcome_leaf}",
        _proven(hit),
        *([hit.standing.words] if hit.standing else []),
    ]


def _proven(hit: Hit) -> str:
    if hit.unproven:
        return f"NOT PROVEN: {hit.unproven}"
    return "proven" if hit.verified else _UNCHECKED


def _facts(hit: Hit, seals: int, size: int) -> dict[str, object]:
    if hit.unproven:
        proven = _proven(hit)
    else:
        proven = f"both leaves are in the tree of {counted(size, 'leaf', 'leaves')}"
        proven += ", which the given key signed" if hit.verified else "; who signed that tree was not checked"
    facts = item_facts(hit.item, proven)
    if hit.seal and hit.standing:
        facts["document"] = f"signature {hit.seal.number} of {seals}: {hit.standing.words}"
        if hit.standing.why:
            facts["change"] = hit.standing.why
    return facts


def _record(hit: Hit, seals: int) -> dict[str, Any]:
    record = item_record(hit.item, proven=not hit.unproven, verified=hit.verified and not hit.unproven)
    if hit.unproven:
        record["why_unproven"] = hit.unproven
    if hit.seal and hit.standing:
        record["document"] = _place(hit.seal, seals) | {
            "changed": hit.standing.changed,
            "in_words": hit.standing.words,
            "added_later": list(hit.standing.added),
            "why_changed": hit.standing.why,
        }
    return record


def _place(seal: "Seal", seals: int) -> dict[str, Any]:
    return {"signature": seal.number, "signatures": seals}
