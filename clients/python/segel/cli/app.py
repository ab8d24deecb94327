"""The command `segel`: sign files and PDFs with keys that stay in hardware."""

from typing import Final

from segel.cli import session

_EPILOG = """\
Examples:
  segel whoami
  segel key list
  segel sign --key keys/seal-2026 decree.xml
  segel pdf sign --key keys/seal-2026 letters/*.pdf --out-dir signed
  segel pdf verify --trust root.pem signed/*.pdf
  sha256sum letters/* | segel job submit --key keys/seal-2026 --digests - --results signatures.jsonl

Settings come from options, the environment (SEGEL_TARGET, SEGEL_TLS_CA, SEGEL_TLS_CERT, SEGEL_TLS_KEY, SEGEL_KEY), \
~/.config/segel/client.toml and /etc/segel/client.toml, in this order."""

_PARTS: Final = ("whoami", "key", "sign", "pdf", "job")

app = session.app(
    "client",
    "Sign with keys that stay in PKCS#11 hardware.",
    _EPILOG,
    "segel",
    {name: f"segel.cli.{name}" for name in _PARTS},
)
