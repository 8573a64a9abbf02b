"""Credentials of a client: an API key or a token, as text or in a file that is read each time."""

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import httpx

VARIABLE: Final = "ORDERGEN_TOKEN"
FILE_VARIABLE: Final = "ORDERGEN_TOKEN_FILE"
CA_VARIABLE: Final = "ORDERGEN_CA_FILE"
MAX_TOKEN_LENGTH: Final = 16_384

Token = str | Path | Callable[[], str]
"""A key or token, the path of a file that has it, or a function that returns it."""


class BearerToken(httpx.Auth):
    """Sends a token with every request; a file is read each time, because its token may change."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token to a request."""
        request.headers["Authorization"] = f"Bearer {read_token(self._token)}"
        yield request

    def __repr__(self) -> str:
        return "BearerToken(...)"


def read_token(token: Token) -> str:
    """Return a token, read from its file if it is a path."""
    if isinstance(token, Path):
        with token.open(encoding="ascii") as file:
            token = file.read(MAX_TOKEN_LENGTH)
    return (token if isinstance(token, str) else token()).strip()


def token_from_environment() -> Token | None:
    """Return the token in ORDERGEN_TOKEN, or else the file named by ORDERGEN_TOKEN_FILE."""
    if token := os.environ.get(VARIABLE):
        return token
    file = os.environ.get(FILE_VARIABLE)
    return Path(file) if file else None


def authorities_from_environment() -> Path | None:
    """Return the file named by ORDERGEN_CA_FILE: the authorities that a client trusts."""
    file = os.environ.get(CA_VARIABLE)
    return Path(file) if file else None
