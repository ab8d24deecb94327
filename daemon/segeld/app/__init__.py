"""The composition root: configuration and policy in, a running daemon out."""

from segeld.app.daemon import Endpoints, serve

__all__ = ["Endpoints", "serve"]
