"""Pages at the types of problems."""

from html import escape, unescape

import httpx
import pytest

from serve_app.api.openapi.examples import build_example
from serve_app.api.routes.problem_pages import problem_page
from serve_app.problems.catalogue import INVALID_REQUEST, KINDS, ProblemKind


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.code)
async def test_the_type_of_a_problem_leads_to_its_page(
    client: httpx.AsyncClient, kind: ProblemKind
) -> None:
    answer = await client.get(kind.uri)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = unescape(answer.text)
    assert f"<h1>{kind.title}</h1>" in text
    assert kind.advice in text
    assert build_example(kind)["detail"] in text.replace('\\"', '"')


async def test_the_list_of_problems_leads_to_every_page(client: httpx.AsyncClient) -> None:
    text = (await client.get("/problems")).text

    for kind in KINDS.values():
        assert f'<a href="{kind.uri}">{kind.status} {escape(kind.title)}</a>' in text


async def test_a_problem_that_does_not_exist_has_no_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/problems/nothing")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-route")


def test_a_page_shows_text_as_text_and_never_as_html() -> None:
    kind = ProblemKind(422, INVALID_REQUEST.code, "a < b", "Say <script>alert(1)</script>.")

    page = problem_page("problem.html.j2", kind)

    assert "<script>" not in page
    assert "<h1>a &lt; b</h1>" in page
