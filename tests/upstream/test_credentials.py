"""Credentials for upstreams, against real token endpoints and upstreams that ask for them."""

import asyncio
import base64
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx
import pytest

from serve_app.upstream.credentials import (
    ClientCredentials,
    FixedCredentials,
    TokenEndpoint,
)
from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_transports import single_use_transport
from serve_app.upstream.retry_policy import Policy
from tests.support.upstream_servers import EAGER, start_client, start_server
from tests.upstream.test_circuit_breaker import Clock

SECRET = "s3cr:t+/ä"


@dataclass
class Issuer:
    """Token endpoint that counts its tokens, and gives ``answer`` instead of one if it has any."""

    lifetime_s: object = 300
    answer: httpx.Response | bytes | None = None
    requests: list[httpx.Request] = field(default_factory=list[httpx.Request])

    async def __call__(self, request: httpx.Request) -> httpx.Response | bytes:
        self.requests.append(request)
        await asyncio.sleep(0.001)  # because otherwise callers would not overlap
        if self.answer is not None:
            return self.answer
        token = f"token-{len(self.requests)}"
        members = {"access_token": token, "token_type": "bearer", "expires_in": self.lifetime_s}
        return httpx.Response(200, json=members)

    def credentials(self, clock: Clock | None = None) -> ClientCredentials:
        transport = single_use_transport(1.0)
        url = f"{start_server(self)}/oauth/token"
        endpoint = TokenEndpoint(url, "rebalancer", SECRET, "prices orders", transport, 2.0)
        return ClientCredentials(endpoint, clock or Clock())


@dataclass
class Guarded:
    """Upstream that answers 401 unless the credentials of a request are among its valid ones."""

    valid: set[str]
    seen: list[str] = field(default_factory=list[str])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.headers.get("Authorization", ""))
        return httpx.Response(200 if self.seen[-1] in self.valid else 401, json={"fine": True})


def tokens(*numbers: int) -> set[str]:
    return {f"Bearer token-{number}" for number in numbers}


async def test_the_token_request_is_that_of_the_client_credentials_grant() -> None:
    issuer = Issuer()

    assert await issuer.credentials().authorize() == "Bearer token-1"

    (request,) = issuer.requests
    kind, _, pair = request.headers["Authorization"].partition(" ")
    assert (request.method, request.url.path, kind) == ("POST", "/oauth/token", "Basic")
    assert base64.b64decode(pair) == b"rebalancer:s3cr%3At%2B%2F%C3%A4"
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["prices orders"],
    }


async def test_many_callers_get_one_token_and_keep_it() -> None:
    issuer, upstream = Issuer(), Guarded(tokens(1))
    client = start_client(upstream, credentials=issuer.credentials())

    for _ in range(2):
        await asyncio.gather(*(client.get_json("/x") for _ in range(30)))

    assert len(issuer.requests) == 1
    assert len(upstream.seen) == 60


async def test_a_token_is_renewed_before_it_ends_while_its_callers_go_on() -> None:
    issuer, clock = Issuer(lifetime_s=300), Clock()
    credentials = issuer.credentials(clock)
    await credentials.authorize()

    clock.now_s += 271  # 29 s before its end
    during = await asyncio.gather(*(credentials.authorize() for _ in range(10)))
    await credentials.replace("Bearer token-1")  # waits for the renewal under way

    assert set(during) == tokens(1)
    assert await credentials.authorize() == "Bearer token-2"
    assert len(issuer.requests) == 2


async def test_no_token_is_sent_beyond_its_end() -> None:
    issuer, clock = Issuer(lifetime_s="60"), Clock()
    credentials = issuer.credentials(clock)
    await credentials.authorize()

    clock.now_s += 60

    assert await credentials.authorize() == "Bearer token-2"


@pytest.mark.parametrize("lifetime_s", [None, "soon", 0, -5, "nan"])
async def test_a_token_without_a_lifetime_is_kept_for_five_minutes(lifetime_s: object) -> None:
    issuer, clock = Issuer(lifetime_s), Clock()
    credentials = issuer.credentials(clock)
    await credentials.authorize()

    clock.now_s += 239
    assert await credentials.authorize() == "Bearer token-1"
    clock.now_s += 61
    assert await credentials.authorize() == "Bearer token-2"


async def test_many_401s_for_one_token_cost_one_renewal_and_every_call_succeeds() -> None:
    issuer, clock = Issuer(), Clock()
    credentials = issuer.credentials(clock)
    await credentials.authorize()
    clock.now_s += 10
    upstream = Guarded(tokens(2))  # the first token was withdrawn
    client = start_client(upstream, credentials=credentials)

    answers = await asyncio.gather(*(client.get_json("/x") for _ in range(10)))

    assert answers == [{"fine": True}] * 10
    assert len(issuer.requests) == 2


async def test_a_401_for_a_new_token_is_an_answer_and_costs_no_further_renewal() -> None:
    issuer, upstream = Issuer(), Guarded(set())
    client = start_client(upstream, credentials=issuer.credentials())

    for _ in range(3):
        with pytest.raises(UpstreamContractError, match="/x answered 401"):
            await client.get_json("/x")

    assert len(issuer.requests) == 1
    assert len(upstream.seen) == 3


async def test_a_401_stands_if_the_endpoint_gives_no_newer_token() -> None:
    issuer, clock = Issuer(), Clock()
    credentials = issuer.credentials(clock)
    client = start_client(Guarded(set()), credentials=credentials)
    await credentials.authorize()
    clock.now_s += 10
    issuer.answer = httpx.Response(503)

    with pytest.raises(UpstreamContractError, match="/x answered 401"):
        await client.get_json("/x")


REFUSALS = [
    (httpx.Response(401, json={"error": "invalid_client"}), r"answered 401 \(invalid_client\)"),
    (httpx.Response(400, json={"error": f"no {SECRET}"}), "answered 400$"),
    (httpx.Response(403, content=b"<html>"), "answered 403$"),
    (httpx.Response(200, content=b"<html>"), "answered without an access_token"),
    (httpx.Response(200, json=[]), "answered without an access_token"),
    (httpx.Response(200, json={"access_token": "a\r\nX: y"}), "answered without an access_token"),
    (httpx.Response(200, json={"access_token": 7}), "answered without an access_token"),
    (httpx.Response(200, json={"access_token": "t", "token_type": "mac"}), "no Bearer token"),
    (httpx.Response(200, content=b"x" * 70_000), "a body that has more than 65,536 bytes"),
]


@pytest.mark.parametrize(("answer", "reason"), REFUSALS)
async def test_a_refusing_endpoint_is_named_and_asked_once_for_many_calls(
    answer: httpx.Response, reason: str
) -> None:
    issuer, upstream = Issuer(answer=answer), Guarded(set())
    client = start_client(upstream, credentials=issuer.credentials())

    caught: list[BaseException] = []
    for _ in range(2):
        caught += await asyncio.gather(
            *(client.get_json("/x") for _ in range(8)), return_exceptions=True
        )

    for error in caught:
        assert isinstance(error, UpstreamUnavailableError)
        assert f"{error}".startswith("the pricing service is unavailable: the token endpoint ")
        assert re.search(reason, str(error))
        assert error.retry_after_s == 30
        assert SECRET not in f"{error!r} {error.__cause__!r}"
    assert (len(issuer.requests), upstream.seen) == (1, [])


async def test_an_endpoint_that_recovers_is_asked_again_after_its_pause() -> None:
    issuer, clock = Issuer(answer=httpx.Response(503)), Clock()
    policy = Policy(total_s=0.1)  # too short for the pause
    client = start_client(Guarded(tokens(2)), policy, credentials=issuer.credentials(clock))
    with pytest.raises(UpstreamUnavailableError, match="the token endpoint answered 503"):
        await client.get_json("/x")

    issuer.answer = None
    clock.now_s += 1

    assert await client.get_json("/x") == {"fine": True}
    assert len(issuer.requests) == 2


async def test_a_failed_renewal_leaves_the_token_at_hand_in_use() -> None:
    issuer, clock = Issuer(), Clock()
    credentials = issuer.credentials(clock)
    await credentials.authorize()
    issuer.answer = httpx.Response(500)
    clock.now_s += 280

    for _ in range(5):
        assert await credentials.authorize() == "Bearer token-1"
        await asyncio.sleep(0.01)

    assert len(issuer.requests) == 2


async def test_a_caller_that_leaves_does_not_end_the_renewal_of_the_others() -> None:
    issuer = Issuer()
    credentials = issuer.credentials()
    leaving = asyncio.create_task(credentials.authorize())
    staying = asyncio.create_task(credentials.authorize())
    await asyncio.sleep(0)

    leaving.cancel()

    assert await staying == "Bearer token-1"
    assert len(issuer.requests) == 1


async def test_a_batch_of_orders_is_not_sent_without_a_token_and_sent_again_after_a_401() -> None:
    issuer, clock = Issuer(answer=httpx.Response(401)), Clock()
    upstream = Guarded(tokens(3))
    client = start_client(
        upstream,
        transport=single_use_transport(1.0),
        credentials=issuer.credentials(clock),
    )
    with pytest.raises(UpstreamUnavailableError, match="the token endpoint answered 401"):
        await client.send_once("POST", "/orders", b"[]", 2.0)
    assert upstream.seen == []

    issuer.answer = None
    clock.now_s += 30
    await client.check_health("/health")  # gets token 2
    clock.now_s += 10
    response = await client.send_once("POST", "/orders", b"[]", 2.0)

    assert response.status_code == 200
    assert upstream.seen[-2:] == ["Bearer token-2", "Bearer token-3"]


async def test_an_endpoint_that_hangs_leaves_no_batch_in_doubt() -> None:
    async def hang(_: httpx.Request) -> bytes:
        await asyncio.sleep(60)
        return b""

    transport = single_use_transport(1.0)
    endpoint = TokenEndpoint(start_server(hang), "rebalancer", SECRET, None, transport, 0.05)
    credentials = ClientCredentials(endpoint)
    client = start_client(Guarded(set()), Policy(total_s=0.1), credentials=credentials)

    with pytest.raises(UpstreamUnavailableError, match="endpoint does not answer: TimeoutError"):
        await client.send_once("POST", "/orders", b"[]", 2.0)


async def test_health_is_asked_with_the_credentials_and_fails_without_a_token() -> None:
    issuer = Issuer()
    guarded = start_client(Guarded(tokens(1)), credentials=issuer.credentials())
    refused = Issuer(answer=httpx.Response(400))
    without = start_client(Guarded(set()), credentials=refused.credentials())

    assert (await guarded.check_health("/health")).is_healthy is True
    assert (await without.check_health("/health")).is_healthy is False


async def test_a_fixed_header_is_sent_and_a_user_in_the_url_goes_over_it() -> None:
    upstream = Guarded(set())
    fixed = FixedCredentials("Bearer abc")
    url = start_server(upstream).replace("://", "://ada:mellon@")
    async with Client("pricing", url, EAGER, credentials=fixed) as own:
        for client in (start_client(upstream, credentials=fixed), own):
            with pytest.raises(UpstreamContractError, match="/x answered 401"):
                await client.get_json("/x")

    assert upstream.seen == ["Bearer abc", "Basic YWRhOm1lbGxvbg=="]
