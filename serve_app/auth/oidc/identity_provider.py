"""Identity provider: its discovery document and signing keys, fetched and kept.

Every fetch has a time limit and a bound on its size. Fetches of the keys are at least 10 s apart,
because anybody can send tokens with key ids that do not exist.
"""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from serve_app.auth.errors import ProviderUnavailableError
from serve_app.auth.oidc.signing_keys import SigningKey, UnusableKeysError, read_signing_keys
from serve_app.loopback import is_private_on_the_way
from serve_app.upstream.http_exchange import TRANSPORT_ERRORS, Request, Transport, exchange
from serve_app.upstream.http_transports import KeptConnections
from serve_app.upstream.response_body import UnreadableError, parse_json
from serve_app.upstream.retry_policy import CutShortError

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
MAX_DOCUMENT_BYTES: Final = 256_000
CONNECT_WITHIN_S: Final = 3.0
ANSWER_WITHIN_S: Final = 5.0
REFRESH_EVERY_S: Final = 900.0  # so that a key that the provider withdraws is soon refused
MIN_PAUSE_S: Final = 10.0
MAX_CONNECTIONS: Final = 4
BASIC: Final = "client_secret_basic"
OK: Final = frozenset({200})
HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "gzip"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Endpoints of a provider, from its discovery document; None for those that it lacks."""

    jwks_uri: str
    authorization_endpoint: str | None
    token_endpoint: str | None
    end_session_endpoint: str | None
    takes_basic: bool  # the secret of a client in a header, not in the form


class IdentityProvider:
    """Provider with this issuer; an object belongs to one event loop.

    Keys are fetched when they are needed and renewed in the background every 15 minutes. If that
    fails, they stay usable until they are ``outage_s`` old.
    """

    def __init__(
        self,
        issuer: str,
        outage_s: float,
        transport: Transport,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self._outage_s = outage_s
        self._refresh_every_s = min(REFRESH_EVERY_S, outage_s / 2)
        self._transport = transport
        self._clock = clock
        self._metadata: Metadata | None = None
        self._metadata_at = self._keys_at = self._tried_at = -math.inf
        self._keys: tuple[SigningKey, ...] = ()
        self._failure: ProviderUnavailableError | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def find_keys(self, key_id: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        """Return the keys that may have signed a token, after one refresh if there seem to be none.

        Raises ProviderUnavailableError if the keys cannot be fetched.
        """
        await self._require_usable_keys()
        keys = self._select_keys(key_id, algorithm)
        if not keys and await self._refresh():
            keys = self._select_keys(key_id, algorithm)
        return keys

    async def read_metadata(self) -> Metadata:
        """Return the endpoints of the provider; raise ProviderUnavailableError if unknown."""
        age_s = self._clock() - self._metadata_at
        if self._metadata is None or age_s > self._refresh_every_s:
            self._metadata = _parse_metadata(await self._fetch(self._discovery_url), self.issuer)
            self._metadata_at = self._clock()
        return self._metadata

    async def fetch_json(self, request: Request, statuses: Collection[int] = OK) -> Any:
        """Send a request to the provider; return the JSON of its answer.

        Raises ProviderUnavailableError if the answer is late, too large or malformed.
        """
        url = request.url
        if not is_private_on_the_way(url):
            raise ProviderUnavailableError(f"{url} is neither https nor on loopback")
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = await exchange(self._transport, request, statuses, MAX_DOCUMENT_BYTES)
            if answer.status_code not in statuses:
                raise ProviderUnavailableError(f"{url} answered {answer.status_code}")
            return parse_json(answer.content)
        except TimeoutError:
            raise ProviderUnavailableError(f"{url} did not answer in time") from None
        except UnreadableError as error:
            raise ProviderUnavailableError(f"{url} {error}") from None
        except (*TRANSPORT_ERRORS, CutShortError) as error:
            raise ProviderUnavailableError(f"{url} cannot be reached") from error

    async def close(self) -> None:
        """End the refresh in the background, and close the connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self._transport.close()

    @property
    def _discovery_url(self) -> str:
        return self.issuer.rstrip("/") + DISCOVERY_PATH

    def _select_keys(self, key_id: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        return tuple(key for key in self._keys if key.fits(key_id, algorithm))

    async def _require_usable_keys(self) -> None:
        age_s = self._clock() - self._keys_at
        if age_s > self._outage_s:
            await self._refresh()
        elif age_s > self._refresh_every_s and self._may_refresh():
            self._begin_refresh()  # nobody waits for it, because the keys are usable meanwhile

    async def _refresh(self) -> bool:
        """Fetch the keys unless they were fetched a moment ago; True if the keys are new.

        Raises ProviderUnavailableError if the latest attempt failed.
        """
        is_due = self._refreshing is not None or self._may_refresh()
        if is_due:
            # The fetch is shielded, because other requests wait for it, too.
            await asyncio.shield(self._refreshing or self._begin_refresh())
        if self._failure is not None:
            raise ProviderUnavailableError(self._failure.detail)
        return is_due

    def _may_refresh(self) -> bool:
        return self._clock() - self._tried_at >= MIN_PAUSE_S

    def _begin_refresh(self) -> asyncio.Task[None]:
        if self._refreshing is None:
            self._tried_at = self._clock()
            self._refreshing = asyncio.create_task(self._fetch_keys())
        return self._refreshing

    async def _fetch_keys(self) -> None:
        try:
            metadata = await self.read_metadata()
            self._keys = _parse_keys(await self._fetch(metadata.jwks_uri), metadata.jwks_uri)
            self._keys_at, self._failure = self._clock(), None
        except ProviderUnavailableError as error:
            self._failure = error
            logger.warning("the keys of the identity provider were not read: %s", error.detail)
        finally:
            self._refreshing = None

    async def _fetch(self, url: str) -> Any:
        return await self.fetch_json(Request("GET", url, HEADERS))


def connect_provider(issuer: str, outage_s: float, ca_file: Path | None) -> IdentityProvider:
    """Make a provider that is called over HTTP; ``ca_file`` replaces the usual authorities."""
    context = None if ca_file is None else ssl.create_default_context(cafile=ca_file)
    transport = KeptConnections(MAX_CONNECTIONS, CONNECT_WITHIN_S, context)
    return IdentityProvider(issuer, outage_s, transport)


def _parse_metadata(document: Any, issuer: str) -> Metadata:
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        # The issuer has to match, otherwise one provider could speak for the subjects of
        # another (OpenID Discovery 4.3).
        raise ProviderUnavailableError(f"the discovery document is not one of {issuer}")
    names = ("jwks_uri", "authorization_endpoint", "token_endpoint", "end_session_endpoint")
    urls: dict[str, Any] = {name: document.get(name) for name in names}
    for name, url in urls.items():
        if url is None and name != "jwks_uri":
            continue
        if not isinstance(url, str) or not is_private_on_the_way(url):
            raise ProviderUnavailableError(f"{name} is neither https nor on loopback")
    methods = document.get("token_endpoint_auth_methods_supported", [BASIC])
    return Metadata(**urls, takes_basic=isinstance(methods, list) and BASIC in methods)


def _parse_keys(document: Any, url: str) -> tuple[SigningKey, ...]:
    try:
        return read_signing_keys(document)
    except UnusableKeysError as error:
        raise ProviderUnavailableError(f"{url} {error}") from None
