"""Settings of identity: whom the service lets in, and the identity provider that it trusts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode

from serve_app.loopback import is_private_on_the_way
from serve_app.settings.errors import SettingsError

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"
]  # none that signs with a shared secret, because everybody has the keys of the provider
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
ROLES: Final = ("viewer", "trader", "approver", "model-manager", "operator", "admin")


def comma_list(value: object) -> object:
    """Split a text at its commas; other values stay as they are."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _issuer(url: str) -> str:
    parts = urlsplit(url)
    is_plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    if not (is_plain and is_private_on_the_way(url)):
        raise ValueError(url)
    return url


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    if not is_private_on_the_way(url) or url != f"{parts.scheme}://{parts.netloc}":
        raise ValueError(url)
    return _issuer(url)


def _role_name(pair: str) -> str:
    role, _, name = pair.partition("=")
    if role not in ROLES or not name:
        raise ValueError(pair)
    return pair


ClaimName = Annotated[str, Field(min_length=1, max_length=200)]
ScopeName = Annotated[str, Field(pattern=r"^[!#-\[\]-~]{1,200}$")]
PublicUrl = Annotated[
    str, BeforeValidator(lambda url: str(url).rstrip("/")), AfterValidator(_public_url)
]
Issuer = Annotated[str, AfterValidator(_issuer)]
Algorithms = Annotated[tuple[Algorithm, ...], NoDecode, BeforeValidator(comma_list)]
RoleNames = Annotated[
    tuple[Annotated[str, AfterValidator(_role_name)], ...], NoDecode, BeforeValidator(comma_list)
]


class IdentitySettings(BaseSettings):
    """Settings of the callers: keys, tokens of an identity provider, or nothing."""

    auth: Literal["none", "keys", "oidc", "keys+oidc"] = Field(
        "none", description="none, keys, oidc or keys+oidc"
    )
    oidc_issuer: Issuer | None = Field(
        None, description="an https URL, or an http URL on loopback, without a query"
    )
    oidc_audience: str | None = Field(
        None, min_length=1, max_length=500, description="the audience that tokens have to name"
    )
    oidc_algorithms: Algorithms = Field(
        ("RS256", "ES256"),
        min_length=1,
        description=f"one or more of {', '.join(ALGORITHMS)}, separated by commas",
    )
    oidc_name_claim: ClaimName = Field("sub", description="the name of a claim")
    oidc_roles_claim: ClaimName = Field("roles", description="the name of a claim")
    oidc_role_names: RoleNames = Field(
        (), description="pairs role=name separated by commas, such as trader=desk-traders"
    )
    oidc_scopes_claim: ClaimName | None = Field(None, description="the name of a claim, or unset")
    oidc_models_claim: ClaimName | None = Field(None, description="the name of a claim, or unset")
    oidc_portfolios_claim: ClaimName | None = Field(
        None, description="the name of a claim, or unset"
    )
    oidc_approver_level_claim: ClaimName | None = Field(
        None, description="the name of a claim, or unset"
    )
    oidc_leeway: float = Field(30, ge=0, le=300, description="seconds, from 0 to 300")
    oidc_outage_s: float = Field(3600, ge=60, le=86_400, description="seconds, from 60 to 86400")
    oidc_client_id: str | None = Field(
        None, min_length=1, max_length=500, description="the id of a client, or unset"
    )
    oidc_client_secret: SecretStr | None = Field(None, description="a secret, or unset")
    oidc_client_secret_file: Path | None = Field(None, description="a file with one line, or unset")
    oidc_cli_client_id: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="the id of a client without a secret, or unset",
    )
    oidc_scopes: Annotated[tuple[ScopeName, ...], NoDecode, BeforeValidator(comma_list)] = Field(
        ("openid", "profile"), description="scopes separated by commas, openid among them"
    )
    oidc_resource: str | None = Field(
        None, min_length=1, max_length=500, description="a URI, or unset"
    )
    public_url: PublicUrl | None = Field(
        None, description="an https URL without a path, or an http URL on loopback, or unset"
    )
    session_hours: int = Field(8, ge=1, le=720, description="hours, from 1 to 720")
    oidc_ca_file: Path | None = Field(
        None, description="a file of certificates in PEM, or unset: the usual authorities"
    )

    @property
    def authenticates(self) -> bool:
        """Whether callers need a key or a token."""
        return self.auth != "none"

    @property
    def accepts_keys(self) -> bool:
        """Whether callers may use API keys."""
        return "keys" in self.auth.split("+")

    @property
    def accepts_tokens(self) -> bool:
        """Whether callers may use tokens of the identity provider."""
        return "oidc" in self.auth.split("+")

    @property
    def names_of_roles(self) -> Mapping[str, str]:
        """Role by the name that the claim has for it; empty if the names are the roles."""
        pairs = (pair.partition("=") for pair in self.oidc_role_names)
        return {name: role for role, _, name in pairs}

    @model_validator(mode="after")
    def _require_identity_provider(self) -> Self:
        """Refuse a service that accepts tokens without saying of whom and for whom."""
        needed = ("oidc_issuer", "oidc_audience") if self.accepts_tokens else ()
        for name in needed:
            if getattr(self, name) is None:
                rule = type(self).model_fields[name].description
                message = f"has to be {rule}, where AUTH is {self.auth}"
                raise SettingsError(name.upper(), "unset", message)
        if "openid" not in self.oidc_scopes:  # without it the provider proves nobody's identity
            rule = type(self).model_fields["oidc_scopes"].description or ""
            raise SettingsError("OIDC_SCOPES", ",".join(self.oidc_scopes), rule)
        return self
