"""Authentication by tokens of an identity provider."""

from serve_app.auth.oidc.claims import ClaimNames
from serve_app.auth.oidc.identity_provider import IdentityProvider, connect_provider
from serve_app.auth.oidc.tokens import TokenVerifier
from serve_app.auth.principals import Principal
from serve_app.settings import IdentitySettings


class TokenAuthenticator:
    """Authenticates the tokens that a provider issues for one audience."""

    def __init__(self, verifier: TokenVerifier, audience: str, claim_names: ClaimNames) -> None:
        self._verifier = verifier
        self._audience = audience
        self._claim_names = claim_names

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of a token."""
        claims = await self._verifier.verify(token, self._audience)
        return self._claim_names.build_principal(claims)


def open_provider(settings: IdentitySettings) -> IdentityProvider:
    """Return the provider of the settings; nothing is sent before it is needed."""
    assert settings.oidc_issuer is not None
    return connect_provider(settings.oidc_issuer, settings.oidc_outage_s, settings.oidc_ca_file)


def build_verifier(settings: IdentitySettings, provider: IdentityProvider) -> TokenVerifier:
    """Return a verifier of the provider's tokens, by the rules of the settings."""
    return TokenVerifier(provider, provider.issuer, settings.oidc_algorithms, settings.oidc_leeway)


def build_token_authenticator(
    settings: IdentitySettings, provider: IdentityProvider
) -> TokenAuthenticator:
    """Return the authenticator of tokens that the settings describe."""
    assert settings.oidc_audience is not None
    verifier = build_verifier(settings, provider)
    return TokenAuthenticator(verifier, settings.oidc_audience, ClaimNames.read(settings))
