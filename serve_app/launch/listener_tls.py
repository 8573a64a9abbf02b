"""TLS of the service's own port: certificate and key are checked before anything starts."""

import ssl
from datetime import UTC, datetime

from cryptography import x509

from serve_app.settings import Settings, SettingsError
from serve_app.upstream.tls import load_chain


def require_usable_certificate(settings: Settings) -> None:
    """Raise SettingsError unless the certificate is valid now, and the key is its key."""
    path = settings.tls_certificate
    if path is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, "TLS", path, settings.tls_key)
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    now, rule = datetime.now(UTC), None
    if certificate.not_valid_after_utc < now:
        rule = f"has expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    elif certificate.not_valid_before_utc > now:
        rule = f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    if rule is not None:
        raise SettingsError("TLS_CERTIFICATE", repr(str(path)), rule)
