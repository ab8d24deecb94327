"""segeld: a signing daemon in front of PKCS#11 tokens. daemon/PRIVSEP.md says which process may touch what."""

from typing import Final

__version__: Final = "0.1.0"
