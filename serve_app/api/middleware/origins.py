"""Protection against other sites' pages, which reach the service through a user's browser."""

import re
from collections.abc import Collection, Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.api.browser_requests import OWN_SITE, SAFE_METHODS, is_own_origin
from serve_app.problems.errors import ForeignSiteError, HostNotAllowedError

ANY: Final = "*"
# Probes call these paths by addresses of pods and containers; their answers have no secrets.
OPEN_PATHS: Final = re.compile(r"/(health(/.*)?|metrics)")


class Origins:
    """Refuses foreign host names, and changes that a page of another site makes a browser send.

    A foreign host name is how a page reads the service after it has bound its own name to the
    service's address. Programs that are no browsers send neither Origin nor Sec-Fetch-Site.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], origins: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.domains = tuple(host[1:].lower() for host in hosts if host.startswith("*."))
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not OPEN_PATHS.fullmatch(scope["path"]):
            self._check(scope["method"], Headers(scope=scope))
        await self.app(scope, receive, send)

    def _check(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._is_ours(host_name(host)):
            raise HostNotAllowedError(host)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and site is None:
            return  # because no browser sent it
        if method in SAFE_METHODS or self.origins & {ANY, origin}:
            return
        if not is_own_origin(headers) or site not in OWN_SITE:
            raise ForeignSiteError(origin, site)

    def _is_ours(self, name: str) -> bool:
        return bool(self.hosts & {ANY, name}) or name.endswith(self.domains)


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets, in lower case."""
    match = re.fullmatch(r"\[(?P<address>[^]]*)\](:\d*)?|(?P<name>[^:]*)(:\d*)?", host)
    if match is None:
        return ""
    return (match["address"] or match["name"] or "").lower().removesuffix(".")
