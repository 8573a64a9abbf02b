"""Claims of a verified token: the caller that it names, and the rights that it gives."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from serve_app.auth.errors import AuthenticationError
from serve_app.auth.permissions import derive_scopes
from serve_app.auth.principals import Principal
from serve_app.settings import IdentitySettings

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/+|:=~-]{0,254}")
DISPLAY_CLAIMS: Final = ("name", "preferred_username", "email")
MAX_DISPLAY_LENGTH: Final = 100
EVERYTHING: Final = "*"
APPROVER_LEVELS: Final = frozenset({"1", "2", "3"})

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Names of the claims that have a caller's name, rights and limits.

    ``role_names`` maps names of the roles claim to roles; if it is empty, they are roles.
    """

    name: str = "sub"
    roles: str = "roles"
    role_names: Mapping[str, str] = field(default_factory=dict[str, str])
    scopes: str | None = None
    models: str | None = None
    portfolios: str | None = None
    approver_level: str | None = None

    @staticmethod
    def read(settings: IdentitySettings) -> "ClaimNames":
        """Return the names that the settings choose."""
        return ClaimNames(
            settings.oidc_name_claim,
            settings.oidc_roles_claim,
            settings.names_of_roles,
            settings.oidc_scopes_claim,
            settings.oidc_models_claim,
            settings.oidc_portfolios_claim,
            settings.oidc_approver_level_claim,
        )

    def build_principal(self, claims: Claims) -> Principal:
        """Return the principal that the claims describe.

        Raises AuthenticationError if the claim of the name is missing or is not a name.
        """
        name = find_claim(claims, self.name)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise AuthenticationError(f"the token has no usable claim {self.name}")
        names = _texts(find_claim(claims, self.roles))
        roles = names
        if self.role_names:
            roles = frozenset(self.role_names[role] for role in names if role in self.role_names)
        scopes = _texts(find_claim(claims, self.scopes)) if self.scopes else frozenset[str]()
        models = _limit(claims, self.models)
        return Principal(
            name,
            derive_scopes(roles, scopes),
            None if models is None else frozenset(model_id.lower() for model_id in models),
            _limit(claims, self.portfolios),
            _display_name(claims),
            _approver_level(claims, self.approver_level),
        )


def find_claim(claims: Claims, path: str) -> Any:
    """Find a claim by its name, or by its place in nested claims; None if it is missing.

    >>> find_claim({"realm_access": {"roles": ["trader"]}}, "realm_access.roles")
    ['trader']
    >>> find_claim({"https://example.com/roles": "viewer"}, "https://example.com/roles")
    'viewer'
    """
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> frozenset[str]:
    """Read a list of texts, or one text with blanks between its words (RFC 8693, 4.2)."""
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list):
        return frozenset()
    return frozenset(word for word in words if isinstance(word, str))


def _limit(claims: Claims, path: str | None) -> frozenset[str] | None:
    """Read the ids that a caller is limited to; without the claim it is limited to none at all."""
    if path is None:
        return None
    ids = _texts(find_claim(claims, path))
    return None if EVERYTHING in ids else ids


def _approver_level(claims: Claims, path: str | None) -> int:
    """Read the level of an approver, as a number or text; 1 if the claim has none."""
    level = None if path is None else str(find_claim(claims, path))
    return int(level) if level in APPROVER_LEVELS else 1


def _display_name(claims: Claims) -> str:
    values = (claims.get(name) for name in DISPLAY_CLAIMS)
    text = next((value for value in values if isinstance(value, str) and value), "")
    return "".join(character for character in text if character.isprintable())[:MAX_DISPLAY_LENGTH]
