"""Verification of single tokens: what a valid token may look like, and what its holder learns."""

import json
import time
from typing import Any

import pytest

from serve_app.auth.errors import AuthenticationError
from serve_app.auth.oidc.tokens import TokenVerifier
from tests.support.issuer import AUDIENCE, SUBJECT, Issuer

ALGORITHMS = ("RS256", "ES256")
LEEWAY_S = 30.0


def verifier(issuer: Issuer, **changes: Any) -> TokenVerifier:
    return TokenVerifier(issuer, issuer.url, ALGORITHMS, LEEWAY_S, **changes)


async def refusal(issuer: Issuer, token: str, **changes: Any) -> str:
    with pytest.raises(AuthenticationError) as found:
        await verifier(issuer, **changes).verify(token, AUDIENCE)
    return str(found.value)


@pytest.mark.parametrize("key", ["rsa", "ec"])
@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["another", AUDIENCE]])
@pytest.mark.parametrize("kind", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_a_token_for_this_audience_gives_its_claims(
    shared_issuer: Issuer, key: str, audience: Any, kind: str | None
) -> None:
    payload = json.dumps(shared_issuer.claims(aud=audience, name="Ada"))

    claims = await verifier(shared_issuer).verify(
        shared_issuer.sign(payload, key, typ=kind), AUDIENCE
    )

    assert (claims["sub"], claims["name"]) == (SUBJECT, "Ada")


async def test_a_token_without_a_key_id_is_verified_by_the_only_key_of_its_kind(
    issuer: Issuer,
) -> None:
    token = issuer.sign(json.dumps(issuer.claims()), kid=None)
    await verifier(issuer).verify(token, AUDIENCE)

    issuer.keys["ec-2"] = issuer.keys["ec"]
    assert await refusal(issuer, token) == "the credentials are not valid"


@pytest.mark.parametrize(
    "header", [{"jku": "https://evil.example/jwks"}, {"x5t": "abc"}, {"ver": "2.0"}]
)
async def test_members_of_the_header_that_mean_nothing_here_are_ignored(
    shared_issuer: Issuer, header: dict[str, Any]
) -> None:
    token = shared_issuer.sign(json.dumps(shared_issuer.claims()), **header)

    assert (await verifier(shared_issuer).verify(token, AUDIENCE))["sub"] == SUBJECT


@pytest.mark.parametrize(
    ("claim", "offset_s", "is_valid"),
    [
        ("exp", -LEEWAY_S + 1, True),
        ("exp", -LEEWAY_S, False),
        ("exp", -LEEWAY_S + 0.5, True),
        ("nbf", LEEWAY_S, True),
        ("nbf", LEEWAY_S + 1, False),
        ("iat", LEEWAY_S, True),
        ("iat", LEEWAY_S + 1, False),
    ],
)
async def test_the_clocks_may_differ_by_the_leeway(
    shared_issuer: Issuer, claim: str, offset_s: float, is_valid: bool
) -> None:
    now = int(time.time())
    token = shared_issuer.token(**{claim: now + offset_s})
    subject = verifier(shared_issuer, clock=lambda: float(now))

    if is_valid:
        await subject.verify(token, AUDIENCE)
    else:
        with pytest.raises(AuthenticationError):
            await subject.verify(token, AUDIENCE)


async def test_the_holder_of_a_token_is_told_that_it_expired_and_nobody_else_is(
    shared_issuer: Issuer,
) -> None:
    token = shared_issuer.token(exp=1_700_000_000)

    assert await refusal(shared_issuer, token) == "the token expired"
    assert await refusal(shared_issuer, token[:-8]) == "the credentials are not valid"


async def test_a_token_for_another_audience_of_the_same_issuer_is_refused(
    shared_issuer: Issuer,
) -> None:
    token = shared_issuer.token(aud="https://other.example.com")

    assert await refusal(shared_issuer, token) == "the credentials are not valid"


async def test_an_algorithm_that_is_not_pinned_is_refused_although_the_key_could_sign_with_it(
    shared_issuer: Issuer,
) -> None:
    token = shared_issuer.sign(json.dumps(shared_issuer.claims()), "rsa", alg="PS256")

    assert await refusal(shared_issuer, token) == "the credentials are not valid"
