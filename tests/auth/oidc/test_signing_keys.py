"""Keys of a JWKS document: which are used, and which are left out."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from serve_app.auth.oidc.signing_keys import MAX_KEYS, UnusableKeysError, read_signing_keys
from tests.support.issuer import public_jwk, weak_jwk

RSA, EC = RSAKey.generate_key(2048), ECKey.generate_key("P-256")
GOOD = public_jwk(EC, "good")


def names(*keys: Any) -> list[str | None]:
    return [key.key_id for key in read_signing_keys({"keys": [*keys]})]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "text",
        {},
        {"kty": "RSA"},
        {"kty": ["RSA"]},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {**public_jwk(EC, "other"), "crv": "P-999"},
        {**public_jwk(EC, "other"), "x": 7},
        {**public_jwk(RSA, "other"), "n": "####"},
        {**public_jwk(RSA, "other"), "kid": 7},
        public_jwk(RSA, "other", use="enc"),
        public_jwk(RSA, "other", key_ops=["encrypt"]),
        public_jwk(RSA, "other", key_ops=None),
        {**OctKey.generate_key(256).as_dict(), "kid": "other", "use": "sig"},
        weak_jwk("other"),
    ],
)
def test_a_key_that_cannot_verify_a_token_is_left_out_and_the_others_are_used(bad: Any) -> None:
    assert names(bad, GOOD, bad) == ["good"]
    with pytest.raises(UnusableKeysError, match="no key"):
        names(bad)


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": [GOOD] * MAX_KEYS * 2}])
def test_a_document_that_is_no_list_of_keys_is_refused(document: Any) -> None:
    with pytest.raises(UnusableKeysError):
        read_signing_keys(document)


def test_of_a_private_key_only_the_public_part_is_kept() -> None:
    (key,) = read_signing_keys({"keys": [{**RSA.as_dict(private=True), "kid": "leaked"}]})

    assert not key.key.is_private


def test_a_key_fits_the_algorithms_of_its_type_and_curve_and_the_one_that_it_is_tied_to() -> None:
    free, tied, curve = read_signing_keys(
        {"keys": [public_jwk(RSA, "a"), public_jwk(RSA, "b", alg="RS256"), public_jwk(EC, "c")]}
    )

    assert [free.fits("a", each) for each in ("RS256", "PS512", "ES256")] == [True, True, False]
    assert [tied.fits("b", each) for each in ("RS256", "PS512")] == [True, False]
    assert [curve.fits("c", each) for each in ("ES256", "ES384", "RS256")] == [True, False, False]
    assert not free.fits("b", "RS256")
