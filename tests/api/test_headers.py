"""Response headers: their length, and those exposed to scripts of other origins."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.response_headers import EXPOSED, MAX_LIST_BYTES, header_list
from serve_app.settings import read_settings
from tests.support.every_route import JSON, WITH_BODY, Operation, list_operations
from tests.support.fakes import FakeOptimizer, Stored, render_no_metrics
from tests.support.in_process import Upstreams, make_two_owners

SERVICE = Path(__file__).parents[2] / "serve_app"
FOLDERS = (SERVICE / "api", SERVICE / "problems")
MAX_HEADER_BYTES = 8_000  # of all headers together, because HAProxy has 16,384 for them and its own
HEADER = re.compile(r"(ETag|Link|Location|Allow|Vary|Accept|([A-Z][A-Za-z]*-)+[A-Z][A-Za-z]*)")
OF_REQUESTS = {
    "Content-Encoding",
    "Idempotency-Key",
    "Last-Event-ID",
    "Sec-Fetch-Site",
    "X-Request-Timeout",
}
# Readable without being exposed, or of no use to a script: the body of a 415 has "accepted", and
# that of a 403 "scopes".
OF_BROWSERS = {
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Accept",
    "Accept-Encoding",
    "Cache-Control",
    "Content-Length",
    "Content-Security-Policy",
    "Content-Type",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "Vary",
    "WWW-Authenticate",
    "X-Accel-Buffering",
    "X-Content-Type-Options",
    "X-Frame-Options",
}
SORTED = [each for each in list_operations() if "sort_by" in each.queries()]
SMILE = "\U0001f600"  # 12 bytes as a header writes it


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


def bytes_of_headers(answer: httpx.Response) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in answer.headers.raw)


def names_in_the_code() -> set[str]:
    texts = (
        node.value
        for folder in FOLDERS
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in texts if HEADER.fullmatch(text)}


def test_every_header_of_ours_is_exposed_to_scripts_of_other_origins():
    found = names_in_the_code()

    assert {"Unmatched-Ids", "Preference-Applied", "ETag", "X-Total-Count"} <= found
    assert found == {*EXPOSED} | OF_REQUESTS | OF_BROWSERS


async def test_the_exposed_headers_are_named_to_a_script(
    stored: Stored, optimizer: FakeOptimizer
) -> None:
    settings = read_settings({"cors_origins": "http://desk"})
    app = api_app(settings, Ports(stored.port, optimizer, {}, render_no_metrics))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        answer = await client.get("/health/live", headers={"origin": "http://desk"})

    named = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Unmatched-Ids", "Preference-Applied"} <= {*named} == {*EXPOSED}


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
async def test_fields_with_names_beyond_ascii_do_not_make_long_headers_on_any_route(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    fields = {SMILE * 118 + str(number): 1 for number in range(10, 40)}
    content = json.dumps({**operation.body, **fields}).encode()

    answer = await client.request(operation.method, operation.path, content=content, headers=JSON)

    assert answer.status_code < 500
    assert bytes_of_headers(answer) < MAX_HEADER_BYTES
    if "Ignored-Fields" in answer.headers:
        assert answer.headers["Ignored-Fields"].count(", ") == 1


async def test_ids_beyond_ascii_that_nobody_has_do_not_make_a_long_header(
    client: httpx.AsyncClient, model: dict[str, Any]
) -> None:
    ids = [SMILE * 61 + str(number) for number in range(100, 200)]

    answer = await client.post(
        f"/api/v1/model/{model['model_id']}/rebalance", json={"do_not_buy": ids}
    )

    assert answer.status_code == 200
    assert answer.headers["Unmatched-Ids"].count(", ") == 4
    assert bytes_of_headers(answer) < MAX_HEADER_BYTES
    stored = (await client.get(answer.headers["Location"])).json()
    assert len(stored["unmatched"]) == 100


@pytest.mark.parametrize("operation", SORTED, ids=str)
async def test_an_order_is_refused_before_the_links_that_repeat_it_are_too_long(
    client: httpx.AsyncClient, operation: Operation
) -> None:
    names = {
        "list_models": "name",
        "list_audit_entries": "seq",
        "list_outcomes": "objective",
        "list_drift_lines": "cash_weight",
        "list_trades": "amount",
    }
    fields = ",".join([names.get(operation.name, "model_name")] * 15)

    longest = await client.get(operation.path, params={"sort_by": f"{fields:<200}", "limit": 1})
    longer = await client.get(operation.path, params={"sort_by": f"{fields:<201}"})

    assert longest.status_code == (404 if "{" in operation.template else 200)
    assert bytes_of_headers(longest) < MAX_HEADER_BYTES
    assert longer.status_code == 422
    assert longer.json()["errors"][0]["parameter"] == "sort_by"


def test_a_list_in_a_header_has_as_many_of_the_first_as_fit():
    whole = [f"{number:0>38}" for number in range(100)]

    assert header_list(whole).split(", ") == whole
    assert header_list([*whole, "x"]).split(", ") == whole
    assert len(header_list(["é" * 10_000])) == 0
    assert len(header_list(whole * 2)) <= MAX_LIST_BYTES
