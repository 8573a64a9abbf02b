"""Names from clients: characters that hide, move or turn the text are refused."""

from typing import Any

import httpx
import pytest
from bson import ObjectId

from tests.support.fakes import A, P, Stored, make_model_body, make_position

HIDDEN = (
    "\x00",
    "\x1b[2J",
    "\n",
    "\x7f",
    "\u200b",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\u2028",
    "\u00ad",
    "\u3164",  # printable, as the next one, though nobody sees it
    "\ufe0f",
)


def bodies(name: str) -> list[tuple[str, dict[str, Any]]]:
    """List every body in which a client names something."""
    options = {"groups": [{"name": name, "security_ids": [A], "low": 0, "high": 1}]}
    prices, owned = {A: 1}, {"portfolio_id": P, "cash": 1, "holdings": {}}
    given = {"prices": prices, "portfolios": [owned]}
    lines = [make_position()]
    return [
        ("/models", make_model_body(name)),
        ("/models", make_model_body("Growth", rebalance_options=options)),
        ("/optimize", given | {"model": {"name": name, "positions": lines}}),
        ("/optimize", given | {"model": {"positions": lines}, "options": options}),
    ]


@pytest.mark.parametrize("hidden", HIDDEN)
async def test_a_name_with_a_character_that_nobody_sees_is_refused(
    client: httpx.AsyncClient, hidden: str
) -> None:
    for path, body in bodies(f"Grow{hidden}th"):
        answer = await client.post(f"/api/v1{path}", json=body)

        assert answer.status_code == 422, (path, answer.text)
        assert "invisible" in answer.text
        assert hidden not in answer.json()["detail"]


async def test_a_name_may_be_of_any_script(client: httpx.AsyncClient) -> None:
    for name in ("Müller & Söhne", "成長", "نمو", "🙂"):
        assert (await client.post("/api/v1/models", json=make_model_body(name))).status_code == 201


async def test_a_name_that_was_stored_before_is_shown_without_what_nobody_sees(
    client: httpx.AsyncClient, stored: Stored, model: dict[str, Any]
) -> None:
    models = stored.resources.database["models"]
    old = {"$set": {"name": "Grow\x1b[2Jth\u202e"}}
    await models.update_one({"_id": ObjectId(model["model_id"])}, old)

    read = await client.get(f"/api/v1/model/{model['model_id']}")

    assert read.json()["name"] == "Grow\ufffd[2Jth\ufffd"
    assert (
        await client.put(f"/api/v1/model/{model['model_id']}", json=read.json())
    ).status_code == 200
