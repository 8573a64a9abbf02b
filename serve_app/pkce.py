"""Proof key for code exchange (RFC 7636): only the client that began a sign-in redeems its code."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from typing import Final

METHOD: Final = "S256"
VERIFIER_BYTES: Final = 48


def make_verifier() -> str:
    """Make the secret of one sign-in."""
    return secrets.token_urlsafe(VERIFIER_BYTES)


def derive_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier, which the authorization request carries.

    >>> derive_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    digest = hashlib.sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
