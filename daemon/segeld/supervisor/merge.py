"""One key on several tokens is one key: what each token holds, put together by public key."""

from collections import defaultdict
from collections.abc import Iterable

from segeld.model.inventory import KeyRecord, TokenKey, TokenRecord
from segeld.model.names import KeyName, TokenName
from segeld.model.token_state import TokenState


def merged(tokens: Iterable[TokenRecord]) -> dict[KeyName, KeyRecord]:
    """Every key whose public key is known, ordered by name. Private keys without one have no name and are left out."""
    places: dict[KeyName, list[tuple[TokenName, TokenState, TokenKey]]] = defaultdict(list)
    for token in tokens:
        for key in token.keys:
            if key.name is not None:
                places[key.name].append((token.name, token.state, key))
        for key in token.away:
            assert key.name is not None, "it is remembered by its name"
            places[key.name].append((token.name, TokenState.ABSENT, key))
    return {name: _one(name, places[name]) for name in sorted(places)}


def _one(name: KeyName, places: list[tuple[TokenName, TokenState, TokenKey]]) -> KeyRecord:
    usable = [place for place in places if place[2].unusable is None]
    best = (usable or places)[0][2]
    chain = max((key.chain for _, _, key in usable or places), key=len)
    assert best.public_key is not None
    return KeyRecord(
        name=name,
        kind=best.kind,
        public_key=best.public_key,
        chain=chain,
        tokens=tuple((token, state) for token, state, _ in usable),
        unusable=None if usable else best.unusable,
        trouble="" if usable else best.trouble,
        always_authenticate=any(key.always_authenticate for _, _, key in places),
    )
