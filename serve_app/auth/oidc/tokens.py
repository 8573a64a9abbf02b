"""Tokens of an identity provider: signed JWTs (RFC 7519), with every claim verified.

A token names its key by id alone. Keys and addresses of keys in its header (jwk, jku, x5c, x5u) are
ignored, because a forger would bring them along.
"""

import logging
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry, deserialize_compact

from serve_app.auth.errors import INVALID, AuthenticationError
from serve_app.auth.oidc.signing_keys import SigningKey
from serve_app.upstream.response_body import UnreadableError, parse_json

MAX_TOKEN_LENGTH: Final = 16_384
MAX_HEADER_LENGTH: Final = 8_192  # because some providers put their certificates there
MAX_KEY_ID_LENGTH: Final = 500
MAX_KEYS_TRIED: Final = 2  # keys with one id
COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# A provider signs logout+jwt and others with the same keys, for other purposes.
TYPES: Final = frozenset({"jwt", "at+jwt"})
LATEST_TIME: Final = 10**11  # seconds since 1970, because a later time is a mistake

Claims = Mapping[str, Any]

logger = logging.getLogger(__name__)


class KeySource(Protocol):
    """Keys of a provider."""

    async def find_keys(self, key_id: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        """Return the keys that may have signed a token with this key id and algorithm."""
        ...


class _Registry(JWSRegistry):
    """Bounds of the library, which has smaller ones for headers."""

    max_header_length = MAX_HEADER_LENGTH
    max_payload_length = MAX_TOKEN_LENGTH


class _RefusedError(Exception):
    """Reason why a token is not valid; only logged, because it would help to forge a token."""


class TokenVerifier:
    """Verifies tokens of one issuer: signature, issuer, audience and times.

    ``leeway_s`` is how much the clocks of the provider and of this machine may differ.
    """

    def __init__(
        self,
        keys: KeySource,
        issuer: str,
        algorithms: Collection[str],
        leeway_s: float,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._algorithms = frozenset(algorithms)
        self._leeway_s = Decimal(leeway_s)
        self._clock = clock
        self._registry = _Registry(algorithms=[*algorithms], strict_check_header=False)

    async def verify(self, token: str, audience: str) -> Claims:
        """Return the claims of a token for this audience.

        Raises AuthenticationError if the token is not valid, ProviderUnavailableError if the keys
        cannot be fetched.
        """
        try:
            claims = await self._verify_signature(token)
            self._check_claims(claims, audience)
        except _RefusedError as error:
            logger.info("a token was refused: %s", error)
            raise AuthenticationError(INVALID) from None
        if self._now() >= claims["exp"] + self._leeway_s:
            raise AuthenticationError("the token expired")  # told, because its signature is right
        return claims

    async def _verify_signature(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN_LENGTH or not COMPACT.fullmatch(token):
            raise _RefusedError("it is no signed JWT in the compact form")
        header = _decode_object(token.partition(".")[0])
        algorithm, key_id = self._read_header(header)
        keys = await self._keys.find_keys(key_id, algorithm)
        if not keys or len(keys) > MAX_KEYS_TRIED or (key_id is None and len(keys) > 1):
            raise _RefusedError(f"{len(keys)} keys fit its header")
        if not any(self._has_signed(key, token, algorithm) for key in keys):
            raise _RefusedError("its signature is wrong")
        return _decode_object(token.split(".")[1])

    def _read_header(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise _RefusedError("its algorithm is not one of OIDC_ALGORITHMS")
        if "crit" in header or "b64" in header:
            raise _RefusedError("its header has extensions")
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TYPES:
            raise _RefusedError("its type is another")
        is_id = isinstance(key_id, str) and len(key_id) <= MAX_KEY_ID_LENGTH
        if not (key_id is None or is_id):
            raise _RefusedError("its key id is no short text")
        return algorithm, key_id

    def _has_signed(self, key: SigningKey, token: str, algorithm: str) -> bool:
        try:
            deserialize_compact(token, key.key, [algorithm], self._registry)
        except (JoseError, TypeError, ValueError):
            return False
        return True

    def _check_claims(self, claims: Claims, audience: str) -> None:
        if claims.get("iss") != self._issuer:
            raise _RefusedError("its issuer is another")
        if audience not in _texts(claims.get("aud")):
            raise _RefusedError("its audience is another")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise _RefusedError("it has no subject")
        if not _is_time(claims.get("exp")):
            raise _RefusedError("it has no time of expiry")
        latest = self._now() + self._leeway_s
        for name in ("nbf", "iat"):
            if name in claims and not (_is_time(claims[name]) and claims[name] <= latest):
                raise _RefusedError(f"its {name} is in the future, or no time")

    def _now(self) -> Decimal:
        return Decimal(self._clock())


def _decode_object(segment: str) -> dict[str, Any]:
    try:
        value = parse_json(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (UnreadableError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise _RefusedError("a part of it is no JSON object")
    return value


def _texts(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    return 0 <= value <= LATEST_TIME
