"""JSON bodies of the documentation, parsed by the schemas of their routes."""

import json
import re
from pathlib import Path

from serve_app.api.schemas.models import ModelPost
from serve_app.api.schemas.runs import RunRequest
from serve_app.problems.catalogue import KINDS
from serve_app.settings import read_settings
from tests.support.optimize_bodies import PATH, build_optimize_app, open_client

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```json\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def test_the_model_of_the_tutorial_keeps_the_rules() -> None:
    (model,) = blocks("tutorial.md")

    assert len(ModelPost.model_validate_json(model).positions) == 3


async def test_the_bodies_of_the_page_of_the_api_are_accepted() -> None:
    runs, optimize, problem = blocks("reference/api.md")

    for line in runs.splitlines():
        RunRequest.model_validate_json(line)
    async with open_client(build_optimize_app(read_settings())) as client:
        answer = await client.post(PATH, json=json.loads(optimize))
    assert (answer.status_code, answer.json()[0]["status"]) == (200, "NO_TRADE")
    assert json.loads(problem)["title"] == KINDS["stale-version"].title
