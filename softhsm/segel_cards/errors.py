"""The errors of this package."""


class CardError(Exception):
    """The rig cannot be started or asked; the text says why and what to do next."""


class NamespacesRefused(CardError):
    """The system gives this user no mount and network namespaces: some containers, and hardened kernels."""
