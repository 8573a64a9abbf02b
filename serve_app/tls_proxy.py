"""TLS of the service's own port: HAProxy speaks it, by the environment alone."""

from collections.abc import Mapping
from typing import Final

from serve_app.settings import Settings, SettingsError

NEEDED: Final = (
    "RAY_SERVE_ENABLE_HA_PROXY",
    "RAY_SERVE_HAPROXY_BINARY_PATH",
    "TLS_CERTIFICATE",
)


def require_tls_proxy(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raise SettingsError if no HAProxy of ours would speak TLS for a service that should.

    Serve's own proxy would otherwise answer in plain HTTP, and nobody would notice.
    """
    if settings.tls_certificate is None:
        return
    missing = [name for name in NEEDED if environment.get(name, "0") in {"", "0"}]
    if missing:
        rule = (
            "HAProxy speaks TLS for the service, by the environment of every node: set"
            f" {', '.join(missing)} there (docs/reference/operations.md)"
        )
        raise SettingsError("TLS_CERTIFICATE", repr(str(settings.tls_certificate)), rule)
