"""Loopback: addresses that only this machine can call, or that it calls on itself."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """True if only this machine can call a service that listens on this address.

    >>> is_loopback("127.0.0.2"), is_loopback("0.0.0.0")
    (True, False)
    """
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private_on_the_way(url: str) -> bool:
    """True if nobody on the way to this URL can read or change the request.

    >>> is_private_on_the_way("https://id.example.com"), is_private_on_the_way("http://localhost:1")
    (True, True)
    >>> is_private_on_the_way("http://id.example.com"), is_private_on_the_way("file:///etc/passwd")
    (False, False)
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises ValueError for a port that is no number
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    )
