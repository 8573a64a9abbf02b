"""A service with a certificate is served by the HAProxy that speaks TLS, or not at all."""

import pytest

from serve_app.settings import SettingsError, read_settings
from serve_app.tls_proxy import require_tls_proxy

FULL = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_BINARY_PATH": "/app/.venv/bin/ordergen-haproxy",
    "TLS_CERTIFICATE": "/run/secrets/tls.crt",
}


@pytest.mark.parametrize("variable", FULL)
@pytest.mark.parametrize("value", ["", "0", None])
def test_a_certificate_that_no_proxy_would_use_is_refused(variable: str, value: str | None) -> None:
    settings = read_settings({"tls_certificate": "tls.crt", "tls_key": "tls.key"})
    require_tls_proxy(settings, FULL)

    values = {
        name: setting for name, setting in {**FULL, variable: value}.items() if setting is not None
    }
    with pytest.raises(SettingsError, match=variable):
        require_tls_proxy(settings, values)


def test_without_a_certificate_any_proxy_will_do() -> None:
    require_tls_proxy(read_settings({}), {})
