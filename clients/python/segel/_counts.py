"""Counts in sentences: `1 item`, `2 items`. As `segeld.model.counts`, which a worker loads, and it never loads the client."""


def counted(number: int, one: str) -> str:
    """A number and what it is of; the plural is `one` and an s."""
    return f"{number} {one if number == 1 else f'{one}s'}"
