"""Signing keys of an identity provider: the public keys of a JWKS document that can verify a token.

A key that cannot be read, is private, symmetric or weak is left out, because one bad key of the
provider must not shut out the tokens of the others.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

MAX_KEYS: Final = 100
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # because the time to verify grows with the square of the length
RSA, EC = "RSA", "EC"
KEY_TYPES: Final[Mapping[str, str]] = {"RS": RSA, "PS": RSA, "ES": EC}
CURVES: Final[Mapping[str, str]] = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
PUBLIC_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {RSA: ("n", "e"), EC: ("crv", "x", "y")}

PublicKey = RSAKey | ECKey


class UnusableKeysError(ValueError):
    """A document that is no JWKS, or has no key that can verify a token."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key; ``algorithm`` is None if the provider does not tie the key to one."""

    key_id: str | None
    key_type: str
    curve: str | None
    algorithm: str | None
    key: PublicKey

    def fits(self, key_id: str | None, algorithm: str) -> bool:
        """True if the key may have signed a token with this key id and algorithm."""
        return (
            (key_id is None or key_id == self.key_id)
            and self.algorithm in (None, algorithm)
            and self.key_type == KEY_TYPES[algorithm[:2]]
            and self.curve == CURVES.get(algorithm)
        )


def read_signing_keys(document: Any) -> tuple[SigningKey, ...]:
    """Read the keys of a JWKS document; raise UnusableKeysError if no key can verify a token."""
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise UnusableKeysError(f"is no list of at most {MAX_KEYS} keys")
    keys = tuple(key for member in members if (key := _read_key(member)) is not None)
    if not keys:
        raise UnusableKeysError("has no key that can verify a token")
    return keys


def _read_key(member: Any) -> SigningKey | None:
    if not isinstance(member, dict) or not _is_for_signatures(member):
        return None
    key_type, key_id, algorithm = (member.get(name) for name in ("kty", "kid", "alg"))
    if not _are_texts_or_none(key_type, key_id, algorithm) or key_type not in PUBLIC_MEMBERS:
        return None
    # Only the public members are read, because others could change how the library treats a key.
    public: dict[str, Any] = {name: member.get(name) for name in PUBLIC_MEMBERS[key_type]}
    try:
        key = _import(key_type, {"kty": key_type, **public})
    except (JoseError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None
    if key is None:
        return None
    return SigningKey(key_id, key_type, public.get("crv"), algorithm, key)


def _is_for_signatures(member: Mapping[str, Any]) -> bool:
    operations = member.get("key_ops", ["verify"])
    is_to_verify = isinstance(operations, list) and "verify" in operations
    return is_to_verify and member.get("use", "sig") == "sig"


def _are_texts_or_none(*values: object) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def _import(key_type: str, members: Any) -> PublicKey | None:
    if key_type == EC:
        return ECKey.import_key(members)
    # The length is measured before the import, because the library warns about a weak key.
    length = int.from_bytes(urlsafe_b64decode(f"{members['n']}==")).bit_length()
    return RSAKey.import_key(members) if MIN_RSA_BITS <= length <= MAX_RSA_BITS else None
