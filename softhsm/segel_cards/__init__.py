"""A virtual smart card in a virtual reader, for tests: a PIV card that counts its PIN tries and locks.

    from segel_cards import Card, OPENSC

    with Card(folder, OPENSC) as card:
        subprocess.run([...], env={**os.environ, **card.environment})
        card.control.remove()

SoftHSM2 never locks a PIN; this card does, after three tries, and what it has counted outlives the rig. The reader's
service (pcscd) runs in namespaces of its own: nothing of the system's is used or changed.
"""

from segel_cards.card import Card
from segel_cards.control import Control
from segel_cards.errors import CardError, NamespacesRefused
from segel_cards.modules import OPENSC, YKCS11, Flavour
from segel_cards.pin_module import PinModule
from segel_cards.status import CardStatus

__all__ = [
    "OPENSC",
    "YKCS11",
    "Card",
    "CardError",
    "CardStatus",
    "Control",
    "Flavour",
    "NamespacesRefused",
    "PinModule",
]
