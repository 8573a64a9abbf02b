"""A model that two portfolios follow, on the real optimizer."""

from typing import Any

import httpx
import pytest

from tests.support.fakes import A, B, make_model_body, make_position
from tests.support.in_process import Upstreams, make_two_owners


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


@pytest.fixture
async def model(client: httpx.AsyncClient) -> dict[str, Any]:
    """A model of 45 % each of A and B, within 4 %, that P and Q follow."""
    band = {"low_drift": "0.04", "high_drift": "0.04"}
    positions = [{**make_position(security_id, "0.45"), **band} for security_id in (A, B)]
    answer = await client.post("/api/v1/models", json=make_model_body(positions=positions))
    return answer.json()
