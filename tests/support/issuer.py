"""An issuer of tokens whose every byte a test chooses.

It serves its discovery document and keys over HTTP, counts the requests, and may be down.
"""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from serve_app.auth.oidc.signing_keys import SigningKey, read_signing_keys
from tests.support.upstream_servers import start_server

AUDIENCE: Final = "https://orders.example.com"
SUBJECT: Final = "248289761001"
DISCOVERY: Final = "/.well-known/openid-configuration"
JWKS: Final = "/jwks"


class Issuer:
    """Issuer with an RSA key "rsa" and a P-256 key "ec"."""

    def __init__(self) -> None:
        self.url = "https://id.example.com/realms/desk"
        self.keys: dict[str, RSAKey | ECKey] = {
            "rsa": RSAKey.generate_key(2048),
            "ec": ECKey.generate_key("P-256"),
        }
        self.calls: list[str] = []
        self.is_down = False
        self.answers: dict[str, httpx.Response | bytes] = {}

    def serve(self) -> str:
        """Serve the documents for the duration of the test; return the URL of the issuer."""
        self.url = start_server(self.answer)
        return self.url

    def answer(self, request: httpx.Request) -> httpx.Response | bytes:
        path = request.url.path
        self.calls.append(path)
        if self.is_down:
            return httpx.Response(503)
        return self.answers.get(path) or httpx.Response(200, json=self.documents[path])

    @property
    def documents(self) -> Mapping[str, Any]:
        """The documents by their paths."""
        discovery = {"issuer": self.url, "jwks_uri": f"{self.url}{JWKS}"}
        return {DISCOVERY: discovery, JWKS: self.jwks}

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return {"keys": [public_jwk(key, name) for name, key in self.keys.items()]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Build the claims of a valid token; a change to None removes a claim."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 600}
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, key: str = "ec", /, **changes: Any) -> str:
        """Sign the claims of a valid token, with changes."""
        return self.sign(json.dumps(self.claims(**changes)), key=key)

    def sign(self, payload: str, key: str = "ec", **header: Any) -> str:
        """Sign any payload under any header; members that are None are left out."""
        algorithm = "ES256" if isinstance(self.keys[key], ECKey) else "RS256"
        members = {"alg": algorithm, "kid": key, "typ": "JWT", **header}
        return forge(payload, self.keys[key], members)

    async def find_keys(self, key_id: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        """Find keys without HTTP, as a KeySource."""
        return tuple(key for key in read_signing_keys(self.jwks) if key.fits(key_id, algorithm))


def forge(payload: str, key: Any, header: Mapping[str, Any]) -> str:
    """Sign a payload with any key under any header, without the checks of the library."""
    members = {name: value for name, value in header.items() if value is not None}
    signing_input = f"{encode(members)}.{encode(payload)}"
    signature = JWSRegistry.algorithms[members["alg"]].sign(signing_input.encode(), key)
    return f"{signing_input}.{encode(signature)}"


def encode(value: object) -> str:
    """Encode bytes, a text, or anything as JSON, for a part of a token."""
    if isinstance(value, str):
        value = value.encode()
    elif not isinstance(value, bytes):
        value = json.dumps(value).encode()
    return urlsafe_b64encode(value).decode().rstrip("=")


def weak_jwk(key_id: str) -> dict[str, Any]:
    """Build a public key of 1024 bits, about which the library only warns."""
    number = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n
    text = urlsafe_b64encode(number.to_bytes(128)).decode().rstrip("=")
    return {"kty": "RSA", "kid": key_id, "n": text, "e": "AQAB", "use": "sig"}


def public_jwk(key: RSAKey | ECKey, key_id: str | None = None, **members: Any) -> dict[str, Any]:
    """Build the JWK of a public key as a provider publishes it."""
    key_member = {} if key_id is None else {"kid": key_id}
    return {**key.as_dict(private=False), **key_member, "use": "sig", **members}
