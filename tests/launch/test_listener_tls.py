"""TLS of the service's own port: checked before the start, and served by the real HAProxy."""

import os
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization as keys

from serve_app.launch.launcher import format_url
from serve_app.launch.listener_tls import require_usable_certificate
from serve_app.settings import SettingsError, read_settings
from storage.embedded.free_port import free_port
from tests.support.certificates import Authority, Files

# The lines of Ray's template that ``harden`` edits, in front of an answer of HAProxy's own.
CONFIGURATION = """\
global
    stats socket {directory}/admin.sock mode 666 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    option splice-request
    option redispatch 1
    retry-on conn-failure
frontend prometheus
    bind :{metrics}
frontend http_frontend
    bind 127.0.0.1:{port}
    http-request return status 200 hdr X-Seen "%[req.hdr(x-forwarded-proto)]"
listen stats
    bind *:{stats}
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def check(files: Files) -> None:
    values = {"tls_certificate": files.certificate, "tls_key": files.key}
    require_usable_certificate(read_settings(values))


def test_a_certificate_that_is_valid_now_and_has_its_key_is_taken(authority: Authority) -> None:
    check(authority.issue())


@pytest.mark.parametrize(("days", "rule"), [(-1, "has expired on 20"), (-59, "has expired on 20")])
def test_an_expired_certificate_ends_the_start(authority: Authority, days: int, rule: str) -> None:
    with pytest.raises(SettingsError, match=rf"^TLS_CERTIFICATE is '.*': {rule}"):
        check(authority.issue(days=days))


def test_a_key_of_another_certificate_or_with_a_password_ends_the_start(
    authority: Authority,
) -> None:
    files, other = authority.issue(), authority.issue("b.example.com")
    with pytest.raises(SettingsError, match="the key is not that of the certificate"):
        check(files._replace(key=other.key))

    private = keys.load_pem_private_key(files.key.read_bytes(), None)
    cipher = keys.BestAvailableEncryption(b"mellon")
    form = keys.PrivateFormat.PKCS8
    other.key.write_bytes(private.private_bytes(keys.Encoding.PEM, form, cipher))
    with pytest.raises(SettingsError, match="or the key has a password"):
        check(files._replace(key=other.key))


def test_the_address_of_a_service_with_a_certificate_is_https() -> None:
    settings = read_settings({"tls_certificate": "a.pem", "tls_key": "b.pem", "port": 8443})

    assert format_url(settings) == "https://127.0.0.1:8443"


@pytest.fixture
def proxy(authority: Authority, tmp_path: Path) -> Iterator[str]:
    """Start HAProxy as Ray does, with the certificate in the environment; return its address."""
    files, port = authority.issue(), free_port()
    names = {"port": port, "metrics": free_port(), "stats": free_port(), "directory": tmp_path}
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(CONFIGURATION.format(**names))
    variables = {"TLS_CERTIFICATE": str(files.certificate), "TLS_KEY": str(files.key)}
    process = subprocess.Popen(
        [sys.executable, "-m", "serve_app.launch.haproxy", "-db", "-f", str(configuration)],
        env={**os.environ, **variables},
    )
    wait_until_open(port)
    yield f"https://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)


def wait_until_open(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}", trust_env=False)
        except httpx.ConnectError:
            assert time.monotonic() < until, "HAProxy does not listen"
            time.sleep(0.05)
        except httpx.HTTPError:
            return


def test_the_port_speaks_tls_and_nothing_else(authority: Authority, proxy: str) -> None:
    trusted = ssl.create_default_context(cafile=authority.file)

    answer = httpx.get(proxy, verify=trusted, trust_env=False)
    assert (answer.status_code, answer.headers["X-Seen"]) == (200, "https")
    with pytest.raises(httpx.TransportError):
        httpx.get(proxy.replace("https:", "http:"), trust_env=False)


def test_a_client_cannot_say_that_it_came_by_another_way(authority: Authority, proxy: str) -> None:
    trusted = ssl.create_default_context(cafile=authority.file)

    answer = httpx.get(
        proxy, verify=trusted, trust_env=False, headers={"X-Forwarded-Proto": "http"}
    )

    assert answer.headers["X-Seen"] == "https"


def test_a_client_that_speaks_an_old_version_is_refused(authority: Authority, proxy: str) -> None:
    old = ssl.create_default_context(cafile=authority.file)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(httpx.ConnectError):
        httpx.get(proxy, verify=old, trust_env=False)


@pytest.mark.usefixtures("proxy")
def test_the_key_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    assert (tmp_path / "tls.pem").stat().st_mode & 0o077 == 0
