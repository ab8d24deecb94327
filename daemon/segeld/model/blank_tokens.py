"""What can be done with a blank token when the configured one is not found. Pure."""

from collections.abc import Sequence


def way_out(token: str, module: str, slots: Sequence[int]) -> str:
    """A sentence with the command to run; empty if there is no blank token.

    :param token: the configured name, without tokens/.
    :param module: the module's configured name.
    :param slots: the numbers of its slots with blank tokens.
    """
    names = [f"modules/{module}/slots/{number}" for number in slots]
    match names:
        case []:
            return ""
        case [one]:
            return f"{one} holds a blank token: segelctl token init {token} --slot {one}"
        case _:
            which = f"{', '.join(names[:-1])} and {names[-1]}"
            return f"{which} hold blank tokens; for the one that is meant: segelctl token init {token} --slot SLOT"
