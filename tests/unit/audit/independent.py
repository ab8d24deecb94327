"""A second verifier, written from the RFCs and the formats alone: it shares nothing with the daemon's own.

RFC 6962 section 2.1 (recursively, as it stands there), C2SP tlog-tiles, tlog-checkpoint and signed-note, and MessagePack.
`check(folder, vkey)` gives the leaves, or raises `Wrong` with what is wrong. Leaves that were archived, and are in no
archive that is given, are verified by their hashes alone; None stands for them.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

INTENT, OUTCOME, ACT, OPENED = 1, 2, 3, 4


class Wrong(Exception):
    """The log is not what it should be."""


def check(folder: Path, vkey: str, *archives: Path) -> list[list[Any] | None]:
    """Every leaf, as a list: its kind's number, its time in milliseconds, and its fields in order."""
    try:
        return _check(Path(folder), vkey.strip(), archives)
    except (OSError, ValueError, IndexError, TypeError, msgspec.DecodeError) as error:
        raise Wrong(repr(error)) from error


def _check(folder: Path, vkey: str, archives: tuple[Path, ...]) -> list[list[Any] | None]:
    origin, size, root = _checkpoint((folder / "checkpoint").read_bytes(), vkey)
    archived, archived_root = _archived(folder / "archived", vkey, origin)
    entries: list[bytes | None] = []
    hashes: list[bytes] = []
    for number, (name, width) in enumerate(_names("entries", size, 0)):
        path = next((each / name for each in (folder, *archives) if (each / name).exists()), folder / name)
        if number < archived and not path.exists():
            tile = (folder / name.replace("entries", "0")).read_bytes()
            hashes += (tile[at : at + 32] for at in range(0, 256 * 32, 32))
            entries += [None] * 256
            continue
        bundle = _entries(path.read_bytes())
        _need(len(bundle) == width, f"{name} has {len(bundle)} entries")
        entries += bundle
        hashes += (hashlib.sha256(b"\0" + entry).digest() for entry in bundle)
    _need(archived * 256 <= size, "more was archived than there is")
    _need(not archived or _mth(hashes[: archived * 256]) == archived_root, "something else was archived")
    _need(_mth(hashes) == root, "the root is another")
    level = 0
    row = hashes
    while row:
        stored = b"".join((folder / name).read_bytes() for name, _ in _names(str(level), size, level))
        _need(stored == b"".join(row), f"the tiles of level {level} are not those of the entries")
        row = [_mth(row[at : at + 256]) for at in range(0, len(row) // 256 * 256, 256)]
        level += 1
    leaves = [None if entry is None else msgspec.msgpack.decode(entry) for entry in entries]
    salt = folder / "salt"
    _sense(leaves, origin, salt.read_bytes() if salt.exists() else None)
    return leaves


def _archived(path: Path, vkey: str, origin: str) -> tuple[int, bytes]:
    if not path.exists():
        return 0, b""
    head, name, count, _before, root, *by, end = _signed(path.read_bytes(), vkey)[1].split("\n")
    _need(head == "segel archived bundles" and name == origin and not end, "that is no mark of an archive")
    _need(len(by) <= 1, "that mark says more than it can")
    return int(count), base64.b64decode(root)


def _checkpoint(note: bytes, vkey: str) -> tuple[str, int, bytes]:
    name, text = _signed(note, vkey)
    origin, size, root, *_ = text.split("\n")
    _need(origin == name, "another log's checkpoint")
    return origin, int(size), base64.b64decode(root)


def _signed(note: bytes, vkey: str) -> tuple[str, str]:
    """The key's name, and the text that it signed."""
    name, key_hash, key = vkey.split("+", 2)
    public = base64.b64decode(key)
    key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    _need(key_id.hex() == key_hash and public[0] == 1, "that is no key")
    body, _, lines = note.rpartition(b"\n\n")
    text = body + b"\n"
    signatures: list[bytes] = []
    for line in lines.decode().splitlines():
        dash, signer, signature = line.split(" ")
        _need(dash == "—", "a signature line without a dash")
        data = base64.b64decode(signature, validate=True)
        _need(base64.b64encode(data).decode() == signature, "base64 with odd bits")
        if signer == name and data[:4] == key_id:
            signatures.append(data[4:])
    _need(bool(signatures), "not signed with this key")
    for one in signatures:
        try:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(one, text)
        except InvalidSignature:
            raise Wrong("the signature is wrong") from None
    return name, text.decode()


def _names(level: str, size: int, height: int) -> list[tuple[str, int]]:
    count = size // 256**height
    names = []
    for number in range(-(-count // 256)):
        width = min(256, count - number * 256)
        digits = f"{number:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        names.append((f"tile/{level}/{name}" + (f".p/{width}" if width < 256 else ""), width))
    return names


def _entries(data: bytes) -> list[bytes]:
    entries = []
    while data:
        length = int.from_bytes(data[:2], "big")
        _need(len(data) >= 2 + length, "a bundle ends within an entry")
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries


def _mth(hashes: list[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\1" + _mth(hashes[:k]) + _mth(hashes[k:])).digest()


def _sense(leaves: list[list[Any] | None], origin: str, salt: bytes | None) -> None:
    first = leaves[0] if leaves else []
    _need(
        first is None or (bool(first) and first[0] == OPENED and first[2] == origin),
        "not opened by its first leaf",
    )
    settled = set()
    for index, leaf in enumerate(leaves):
        if leaf is None:
            continue
        kind, _at, *fields = leaf
        _need(kind in {INTENT, OUTCOME, ACT} or index == 0, f"leaf {index} opens the log again")
        if kind != OUTCOME:
            continue
        intent, commitments, signatures, *rest = fields
        unsigned = [position for position, _ in (rest[0] if rest else [])]
        announced = leaves[intent] if 0 <= intent < index else []
        if announced is None:
            continue
        _need(bool(announced) and announced[0] == INTENT, f"leaf {index} has no intent")
        _need(intent not in settled, f"intent {intent} has two outcomes")
        settled.add(intent)
        _caller, _key, _algorithm, _token, parts, items = announced[2:]
        count = sum(part[2] for part in parts)
        _need(len(commitments) == 32 * count, f"leaf {index} has other inputs")
        _need(len(signatures) == 32 * (count - len(unsigned)), f"leaf {index} has too few signatures")
        _need(unsigned == sorted(set(unsigned)), f"leaf {index} has positions out of order")
        _need(all(0 <= position < count for position in unsigned), f"leaf {index} has positions out of range")
        if salt is not None:
            _need(hashlib.sha256(salt + commitments).digest() == items, f"leaf {index} is of other inputs")


def _need(holds: bool, text: str) -> None:
    if not holds:
        raise Wrong(text)
