"""Requests of browsers, whose headers name the page that made them."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITE: Final = frozenset({None, "same-origin", "none"})


def is_own_origin(headers: Headers) -> bool:
    """True if the origin of a request is this service, or is not named."""
    origin, host = headers.get("origin"), headers.get("host", "")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def is_own_page(headers: Headers, method: str) -> bool:
    """True if a page of this service made a request.

    The browser has to name the page of a change, because it may send a cookie for any page.
    """
    site = headers.get("sec-fetch-site")
    if method in SAFE_METHODS:
        return is_own_origin(headers) and site in OWN_SITE
    is_named = site == "same-origin" or (site is None and "origin" in headers)
    return is_own_origin(headers) and is_named
