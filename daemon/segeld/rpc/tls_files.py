"""TLS certificates of a listener, read anew when their files change: no restart, and open connections stay.

gRPC asks before each handshake. The files may be replaced one after another, and a pair that does not belong together,
is expired or cannot be read is not taken: the one before it stays, and the log says why, once for each change.
"""

import threading
from typing import Final

import grpc
import structlog

from segeld.config.certificates import check_tls
from segeld.config.schema import Tls

_log: Final = structlog.get_logger(__name__)
_Stamp = tuple[tuple[int, int, int], ...]


class TlsFiles:
    """`credentials` for one listener. gRPC asks from threads of its own."""

    def __init__(self, key: str, tls: Tls) -> None:
        """:param key: the configuration's name for it, such as `listen.tls`."""
        self._key: Final = key
        self._tls: Final = tls
        self._lock: Final = threading.Lock()
        self._seen = self._stamp()

    def credentials(self) -> grpc.ServerCredentials:
        """:raises OSError: if the files cannot be read."""
        return grpc.dynamic_ssl_server_credentials(
            self._read(),
            self._changed,  # type: ignore[arg-type]  # None means "as before", which the stubs do not know
            require_client_authentication=True,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """None: as before."""
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp == self._seen:
                    return None
                self._seen = stamp
                problems = list(check_tls(self._key, self._tls))
                if problems:
                    _log.error(
                        "TLS files refused: the ones before stay in use",
                        why="; ".join(str(problem) for problem in problems),
                    )
                    return None
                fresh = self._read()
            except OSError as error:  # between two renames a file may not be there
                _log.error("TLS files cannot be read: the ones before stay in use", why=str(error))
                return None
        _log.info("TLS files are read anew", listener=self._key, certificate=str(self._tls.certificate))
        return fresh

    def _read(self) -> grpc.ServerCertificateConfiguration:
        pair = (self._tls.key.read_bytes(), self._tls.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], self._tls.client_ca.read_bytes())

    def _stamp(self) -> _Stamp:
        files = (self._tls.key, self._tls.certificate, self._tls.client_ca)
        return tuple(
            (stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in (each.stat() for each in files)
        )
