"""A hundred thousand forged tokens, of which none lets anybody in."""

from collections import Counter
from random import Random
from typing import Any

from serve_app.auth.errors import AuthenticationError
from serve_app.auth.oidc.authentication import TokenAuthenticator
from serve_app.auth.oidc.claims import ClaimNames
from serve_app.auth.oidc.tokens import TokenVerifier
from tests.support.forged_tokens import ATTACKER_EC, FORGERS
from tests.support.issuer import AUDIENCE, SUBJECT, Issuer, public_jwk

NUMBER = 100_000
TOLD = ("the credentials are not valid", "the token expired")


class PublishingEverything(Issuer):
    """An issuer that also publishes a key for encryption, which the attacker has."""

    @property
    def jwks(self) -> dict[str, Any]:
        for_encryption = public_jwk(ATTACKER_EC, "for-encryption", use="enc")
        return {"keys": [*super().jwks["keys"], for_encryption]}


async def refusal(authenticator: TokenAuthenticator, token: str) -> str:
    try:
        principal = await authenticator.authenticate(token)
    except AuthenticationError as error:
        return str(error)
    raise AssertionError(f"{principal} was let in by {token}")


async def test_no_forged_token_lets_anybody_in() -> None:
    issuer, chance = PublishingEverything(), Random(20261127)
    verifier = TokenVerifier(issuer, issuer.url, ("RS256", "ES256"), 30.0)
    authenticator = TokenAuthenticator(verifier, AUDIENCE, ClaimNames())
    told: Counter[tuple[str, str]] = Counter()

    for number in range(NUMBER):
        forger = FORGERS[number % len(FORGERS)]
        token = forger(issuer, chance)
        told[forger.__name__, await refusal(authenticator, token)] += 1

    assert sum(told.values()) == NUMBER
    assert {forger for forger, _ in told} == {forger.__name__ for forger in FORGERS}
    assert {text for _, text in told} == {*TOLD}
    assert {forger for forger, text in told if text == TOLD[1]} == {"at_a_wrong_time"}
    for key in ("ec", "rsa"):  # so that nothing was refused because everything is
        assert (await authenticator.authenticate(issuer.token(key))).name == SUBJECT
