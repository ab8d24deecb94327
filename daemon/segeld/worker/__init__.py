"""One process, one module, one token: loads the vendor's library, holds its sessions, signs and verifies.

Started as `python -m segeld.worker --control FD --pin FD`. It asks nobody, reads no configuration and recovers
from nothing: what it cannot do it answers, and the front ends it and starts a fresh one.
"""
