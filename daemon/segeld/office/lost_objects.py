"""What is lost with a token, for those who decide on that: what is known to be on it, what is not known, and why."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from segeld.model.faults import Fault
from segeld.model.inventory import KeyRecord, ObjectRecord, TokenKey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.office.expiry import facts_of

_PLURALS: Final = {"private key": "private keys", "public key": "public keys", "certificate": "certificates"}


class Tokens(Protocol):
    """The supervisor, as this needs it."""

    def key(self, name: KeyName) -> KeyRecord | None: ...

    async def public_objects(self, token: TokenName) -> tuple[ObjectRecord, ...]:
        """What it shows without a login.

        :raises Fault: if it cannot be looked at.
        """
        ...


def which(token: TokenRecord) -> str:
    """For people: the device itself, not only its name."""
    return f"label {token.label!r}, serial number {token.serial or 'not seen yet'}"


async def lost_with(tokens: Tokens, token: TokenRecord) -> tuple[str, ...]:
    """Sentences. The same as long as nothing else is known of it."""
    erased = f"{token.name} ({which(token)}) is erased: everything on it is lost, for ever."
    known = tuple(_key(tokens, key) for key in token.keys)
    waiting = ("Jobs that wait for these keys go on only if another token holds them.",) if known else ()
    if token.looked_through:
        none = "No key was on it when it was last logged in." if not known else ""
        also = "Whatever else is on it, such as data or secret keys, is lost too."
        return tuple(filter(None, (erased, *known, *waiting, none, also)))
    return (erased, *known, *waiting, *await _not_known(tokens, token))


def to_see_all(token: TokenRecord) -> str:
    """The command after which `lost_with` names all that the daemon can see; empty if it does."""
    return "" if token.looked_through else f"segelctl token activate {token.name.word}"


async def _not_known(tokens: Tokens, token: TokenRecord) -> tuple[str, ...]:
    """Nobody has logged in to it since the daemon was started."""
    hidden = f"To see all of it first: {to_see_all(token)}, then ask anew."
    try:
        shown = await tokens.public_objects(token.name)
    except Fault as fault:
        why = f"It is not known what is on it, for it cannot be looked at now: {fault.text}"
        return why, "There may be private keys, certificates, secret keys and data.", hidden
    return (
        f"Nobody has logged in to it since the daemon was started. Without a login it shows {_counted(shown)}.",
        "What it hides then is not known: private keys, secret keys and data.",
        hidden,
    )


def _counted(shown: Sequence[ObjectRecord]) -> str:
    counts = Counter(one.object_class for one in shown)
    words = [
        f"1 {what}" if count == 1 else f"{count} {_PLURALS.get(what, f'objects ({what})')}"
        for what, count in sorted(counts.items())
    ]
    return ", ".join(words) or "nothing"


def _key(tokens: Tokens, key: TokenKey) -> str:
    name = key.name or "whose public key is not known"
    return f"The key {key.label!r} ({key.kind or 'of an unknown kind'}), {name}{_certificate(tokens, key)}."


def _certificate(tokens: Tokens, key: TokenKey) -> str:
    """Whose the certificate is, as a sentence's end. One in the state folder counts too."""
    known = tokens.key(key.name) if key.name is not None else None
    chain = known.chain if known is not None else key.chain
    facts = facts_of(chain[0]) if chain else None
    return f", with the certificate of {facts.subject}" if facts is not None else ", without a certificate"
