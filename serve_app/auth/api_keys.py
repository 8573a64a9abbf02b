"""API keys as text: ``ordergen_<id>_<secret>``, 16 and 64 hexadecimal digits.

The secret has 256 random bits, so a plain SHA-256 protects the stored hash. A slow hash is needed
only for secrets that a dictionary may hold.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "ordergen_"
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
KEY: Final = re.compile(rf"{PREFIX}(?P<id>[0-9a-f]{{16}})_(?P<secret>[0-9a-f]{{64}})")


@dataclass(frozen=True, slots=True)
class KeyText:
    """Id and secret of a key, as its owner has them."""

    key_id: str
    secret: str

    @property
    def secret_hash(self) -> bytes:
        """Hash of the secret, which the database stores."""
        return hashlib.sha256(self.secret.encode()).digest()

    def __str__(self) -> str:
        return f"{PREFIX}{self.key_id}_{self.secret}"


def make_key(key_id: str | None = None) -> KeyText:
    """Make a key, or another secret for the key with this id."""
    return KeyText(key_id or secrets.token_hex(ID_BYTES), secrets.token_hex(SECRET_BYTES))


def parse_key(text: str) -> KeyText | None:
    """Read a key; None if the text does not have the form of a key.

    >>> parse_key("ordergen_") is None
    True
    """
    match = KEY.fullmatch(text)
    return match and KeyText(match["id"], match["secret"])
