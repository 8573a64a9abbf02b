"""TLS to upstreams: certificates of a private authority, and what is said of those refused."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serve_app.settings import Settings, SettingsError, read_settings
from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_exchange import Transport
from serve_app.upstream.http_transports import KeptConnections, single_use_transport
from serve_app.upstream.tls import make_context
from tests.support.certificates import Authority
from tests.support.upstream_servers import EAGER, start_server

MakeTransport = Callable[[Settings], Transport]


def keep(settings: Settings) -> Transport:
    return KeptConnections(2, 1.0, make_context(settings))


def use_once(settings: Settings) -> Transport:
    return single_use_transport(1.0, make_context(settings))


TRANSPORTS = pytest.mark.parametrize("transport", [keep, use_once])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def answer(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"fine": True})


async def ask(url: str, transport: MakeTransport, **settings: object) -> object:
    connections = transport(read_settings(settings))
    async with Client("pricing", url, EAGER, connections) as client:
        return await client.get_json("/x")


@TRANSPORTS
async def test_a_private_authority_is_believed_if_it_is_named(
    authority: Authority, transport: MakeTransport
) -> None:
    url = start_server(answer, authority.server_context(authority.issue()))

    assert await ask(url, transport, upstream_ca_file=authority.file) == {"fine": True}
    with pytest.raises(
        UpstreamUnavailableError, match=r"not accepted: .* (issuer|self-signed) cert"
    ):
        await ask(url, transport)


@TRANSPORTS
async def test_an_expired_certificate_is_refused_and_said_to_be(
    authority: Authority, transport: MakeTransport
) -> None:
    url = start_server(answer, authority.server_context(authority.issue(days=-1)))

    rule = r"unavailable: /x: its certificate is not accepted: certificate has expired$"
    with pytest.raises(UpstreamUnavailableError, match=rule):
        await ask(url, transport, upstream_ca_file=authority.file)


@TRANSPORTS
async def test_a_certificate_for_another_host_is_refused_and_said_to_be(
    authority: Authority, transport: MakeTransport
) -> None:
    url = start_server(answer, authority.server_context(authority.issue("prices.example.com")))

    rule = r"certificate is not accepted: IP address mismatch$"
    with pytest.raises(UpstreamUnavailableError, match=rule):
        await ask(url, transport, upstream_ca_file=authority.file)


@TRANSPORTS
async def test_an_upstream_that_asks_for_a_certificate_gets_that_of_the_settings(
    authority: Authority, transport: MakeTransport
) -> None:
    context = authority.server_context(authority.issue(), asks_client=True)
    url, own = start_server(answer, context), authority.issue("rebalancer.example.com")
    known = {"upstream_ca_file": authority.file}
    shown = {"upstream_certificate": own.certificate, "upstream_key": own.key}

    assert await ask(url, transport, **known, **shown) == {"fine": True}
    with pytest.raises((UpstreamUnavailableError, UpstreamContractError)):
        await ask(url, transport, **known)


@TRANSPORTS
async def test_a_url_with_the_wrong_scheme_is_told_apart_from_an_outage(
    authority: Authority, transport: MakeTransport, market_url: str
) -> None:
    with pytest.raises(UpstreamUnavailableError, match=r"not speak TLS: is it http instead of"):
        await ask(market_url.replace("http:", "https:"), transport)

    tls = start_server(answer, authority.server_context(authority.issue()))
    with pytest.raises((UpstreamUnavailableError, UpstreamContractError)):
        await ask(tls.replace("https:", "http:"), transport)


def test_files_that_are_no_certificates_are_refused_by_the_setting(
    authority: Authority, tmp_path: Path
) -> None:
    own, other = authority.issue(), authority.issue("b.example.com")
    text = tmp_path / "text"
    text.write_text("no certificate")
    pair = {"upstream_certificate": own.certificate, "upstream_key": own.key}

    for given, rule in (
        ({"upstream_ca_file": tmp_path / "gone"}, "UPSTREAM_CA_FILE .* cannot be used: No such"),
        ({"upstream_ca_file": text}, "UPSTREAM_CA_FILE .* it has no certificate in PEM"),
        ({**pair, "upstream_key": tmp_path / "gone"}, "UPSTREAM_KEY .*: is no file"),
        ({**pair, "upstream_key": other.key}, "UPSTREAM_CERTIFICATE .* is not that of the cert"),
        ({**pair, "upstream_certificate": text}, "UPSTREAM_CERTIFICATE .* cannot be used"),
    ):
        with pytest.raises(SettingsError, match=rule):
            make_context(read_settings(given))


def test_a_certificate_needs_its_key_and_a_key_its_certificate() -> None:
    for prefix in ("upstream", "tls"):
        for given, missing in (("certificate", "key"), ("key", "certificate")):
            rule = f"^{prefix}_{missing} is unset: has to be set where {prefix}_{given}".upper()
            with pytest.raises(SettingsError) as caught:
                read_settings({f"{prefix}_{given}": "x.pem"})
            assert str(caught.value).upper().startswith(rule[1:])
