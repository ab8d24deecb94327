"""Keys as people know them: with their aliases."""

from segeld.model.names import KeyName
from segeld.policy.rules import Policy


class KeyWords:
    """The aliases that one policy or another has for a key."""

    def __init__(self, *policies: Policy) -> None:
        self._aliases: dict[KeyName, dict[str, None]] = {}
        for policy in policies:
            for alias, keys in policy.aliases.items():
                for key in keys:
                    self._aliases.setdefault(key, {})[alias.word] = None

    def of(self, key: KeyName) -> str:
        aliases = self._aliases.get(key)
        return f"{key} ({', '.join(aliases)})" if aliases else str(key)
