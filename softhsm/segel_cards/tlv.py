"""BER-TLV as PIV cards speak it (ISO/IEC 7816-4, section 5.2.2): tags of one to three octets, definite lengths."""


def tlv(tag: int, value: bytes) -> bytes:
    """One object."""
    return tag.to_bytes((tag.bit_length() + 7) // 8, "big") + _length(len(value)) + value


def read(data: bytes) -> dict[int, bytes]:
    """The objects of a template whose tags are of one octet.

    :raises ValueError: if it is cut short.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        tag, size, at = data[at], _octet(data, at + 1), at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + size > len(data):
            raise ValueError("an object is cut short")
        found[tag], at = data[at : at + size], at + size
    return found


def _octet(data: bytes, at: int) -> int:
    if at >= len(data):
        raise ValueError("an object is cut short")
    return data[at]


def _length(count: int) -> bytes:
    if count < 0x80:
        return bytes([count])
    octets = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets
