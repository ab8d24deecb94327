"""The data objects that a PIV card shows (NIST SP 800-73-5 part 1, table 3)."""

from typing import Final

from segel_cards.memory import Memory
from segel_cards.tlv import tlv

AID: Final = bytes.fromhex("A000000308000010000100")
_CERTIFICATES: Final = {"9A": 0x5FC105, "9C": 0x5FC10A, "9D": 0x5FC10B, "9E": 0x5FC101}
_DISCOVERY, _CHUID, _CAPABILITIES = 0x7E, 0x5FC102, 0x5FC107
_FASC_N: Final = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C842108210")


def answer_to_select() -> bytes:
    """The application property template (part 2, table 3)."""
    authority = tlv(0x79, tlv(0x4F, AID[:5]))
    return tlv(0x61, tlv(0x4F, AID[5:]) + authority + tlv(0x50, b"segel test card"))


def data_objects(memory: Memory) -> dict[int, bytes]:
    """What GET DATA answers, by tag."""
    objects = {
        _DISCOVERY: tlv(0x7E, tlv(0x4F, AID) + tlv(0x5F2F, b"\x40\x00")),
        _CHUID: tlv(
            0x53,
            tlv(0x30, _FASC_N)
            + tlv(0x34, memory.guid)
            + tlv(0x35, b"20460101")
            + tlv(0x3E, b"")
            + tlv(0xFE, b""),
        ),
        _CAPABILITIES: tlv(0x53, _capabilities(memory.guid)),
    }
    for slot, key in memory.keys.items():
        value = tlv(0x70, key.certificate) + tlv(0x71, b"\0") + tlv(0xFE, b"")
        objects[_CERTIFICATES[slot]] = tlv(0x53, value)
    return objects


def _capabilities(guid: bytes) -> bytes:
    identifier = bytes.fromhex("A000000116FF02") + guid[:14]
    filled = {0xF0: identifier, 0xF1: b"\x21", 0xF2: b"\x21", 0xF4: b"\0", 0xF5: b"\x10"}
    tags = (*range(0xF0, 0xF8), *range(0xFA, 0xFF))
    return b"".join(tlv(tag, filled.get(tag, b"")) for tag in tags)
