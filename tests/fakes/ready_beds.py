"""Testbeds that are made once for a run and copied: making one takes longer than starting a daemon on it."""

import shutil
from pathlib import Path

from segel_softhsm import Testbed, provision


class ReadyBeds:
    """One of each set of keys, in a folder that all processes of a run share. Nobody works on those; only on copies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def at(self, directory: Path, *kinds: str) -> Testbed:
        """Puts a copy there, with the same tokens, keys and people as every other copy.

        :param kinds: the keys of segel-a; all that there are if none is named.
        """
        made = provision(self._folder / "-".join(kinds or ("all",)), kinds=list(kinds) or None)
        shutil.copytree(made.directory, directory)
        return Testbed.load(directory)
