"""Certificates that the tests issue from a private authority."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, VerifyMode
from typing import NamedTuple

import trustme

LOOPBACK = "127.0.0.1"


class Files(NamedTuple):
    """Files of a certificate, its key, and the authority that signed the certificate."""

    authority: Path
    certificate: Path
    key: Path


class Authority:
    """Authority whose files are in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ca = trustme.CA()
        self.file = directory / "authority.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def issue(self, name: str = LOOPBACK, days: int = 30) -> Files:
        """Issue a certificate for a host; with negative ``days`` it has expired."""
        now = datetime.now(UTC)
        begin, end = now - timedelta(days=60), now + timedelta(days=days)
        issued = self.ca.issue_cert(name, not_before=begin, not_after=end)
        certificate = self._directory / f"{name}{days}.pem"
        key = certificate.with_suffix(".key")
        issued.private_key_pem.write_to_path(key)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        certificate.write_bytes(chain)
        return Files(self.file, certificate, key)

    def server_context(self, files: Files, *, asks_client: bool = False) -> SSLContext:
        """Make the context of a server, which may ask its clients for a certificate."""
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        if asks_client:
            context.load_verify_locations(self.file)
            context.verify_mode = VerifyMode.CERT_REQUIRED
        return context
