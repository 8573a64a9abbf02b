"""The recipes of docs/how-to/options.md: each body gets the response that the page shows."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from optimization import RebalanceOptions
from serve_app.settings import read_settings
from tests.support.optimize_bodies import PATH, build_optimize_app, open_client

PAGE = Path(__file__).parents[2] / "docs/how-to/options.md"
RECIPE = re.compile(r"```json\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
RECIPES = RECIPE.findall(PAGE.read_text())
ACCOUNT = json.loads(RECIPES[0][0])


@pytest.mark.parametrize(("given", "shown"), RECIPES, ids=[recipe[0][:40] for recipe in RECIPES])
async def test_every_recipe_has_the_answer_that_the_page_shows(given: str, shown: str) -> None:
    body = json.loads(given)
    whole = body if "model" in body else {**ACCOUNT, "options": body}
    async with open_client(build_optimize_app(read_settings())) as client:
        answer = await client.post(PATH, json=whole)

    assert summary(answer) == shown


def test_every_option_has_a_recipe() -> None:
    text = PAGE.read_text()

    missing = [name for name in RebalanceOptions.__dataclass_fields__ if f'"{name}"' not in text]
    assert missing == ["time_limit_s"]  # because it is a setting, not an option of a request


def summary(answer: httpx.Response) -> str:
    """Format a response as the page does."""
    if answer.status_code == 200:
        return "".join(map(plan, answer.json()))
    problem = answer.json()
    outcomes = problem.get("portfolios", [])
    details = [outcome["error"]["detail"] for outcome in outcomes] or [
        error["detail"] for error in problem["errors"]
    ]
    return "".join(f"{answer.status_code}: {detail}\n" for detail in details)


def plan(outcome: dict[str, Any]) -> str:
    """Format a plan in two lines."""
    trades = ", ".join(
        f"{trade['transaction_type']} {trade['quantity']} {trade['security_id']}"
        for trade in outcome["transactions"]
    )
    cash, drift = outcome["cash_after_rebalance"], outcome["objective"]
    outside = "".join(
        f"outside its band: {security['security_id']}, held by {', '.join(security['held_by'])}\n"
        for security in outcome["outside_band"]
    )
    return f"{trades}; cash {cash}; drift {drift}\n{outside}"
