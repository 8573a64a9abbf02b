"""API keys for tests, and clients that send them."""

from typing import Any

import httpx
from fastapi import FastAPI

from serve_app.auth.key_requests import KeyRequest
from serve_app.auth.permissions import Role
from tests.support.fakes import Stored


async def add_key(stored: Stored, *roles: Role, **rights: Any) -> str:
    """Store a key of these roles; return its text."""
    request = KeyRequest(rights.pop("owner", "tester"), roles, **rights)
    text, key = request.make("test")
    await stored.resources.api_keys.add(key)
    return str(text)


def client_with(app: FastAPI, key: str | None = None) -> httpx.AsyncClient:
    """Make a client of the application that sends a key, or no credentials."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
