"""Selection and options of runs, and retries of what a run left without a plan."""

from typing import Any

import httpx
import pytest

from serve_app.settings import Settings, read_settings
from tests.support.fakes import A, P, Q, R, make_model_body
from tests.support.in_process import Upstreams, make_two_owners
from tests.support.run_streams import parse_events, wait_until_over

Json = dict[str, Any]
UNPRICED = "U" * 24


@pytest.fixture
def settings() -> Settings:
    return read_settings({"run_chunk_size": 1, "run_patience_s": 0, "run_lease_s": 1})


@pytest.fixture
def upstreams() -> Upstreams:
    """Two portfolios with prices, and one that holds a security without a price."""
    upstreams = make_two_owners()
    upstreams.set_balance(R, 700, **{UNPRICED: 3})
    return upstreams


async def begin(client: httpx.AsyncClient, **body: Any) -> Json:
    answer = await client.post("/api/v1/runs", json=body)
    assert answer.status_code == 202, answer.text
    return await wait_until_over(client, answer.json()["run_id"])


@pytest.fixture
async def model_id(client: httpx.AsyncClient) -> str:
    added = await client.post("/api/v1/models", json=make_model_body(portfolios=[P, Q, R]))
    return added.json()["model_id"]


async def test_a_run_tells_what_it_was_asked_for(client: httpx.AsyncClient, model_id: str) -> None:
    options = {"maximum_trades": 5, "cash_floor": "2%"}
    headers = {"X-Correlation-ID": "morning-run"}
    body = {"models": [model_id], "portfolios": [P, Q], "options": options}

    begun = await client.post("/api/v1/runs", json=body, headers=headers)
    read = await wait_until_over(client, begun.json()["run_id"])
    whole = await begin(client, whole_book=True)

    for run in (begun.json(), read):
        assert run["selection"] == {
            "models": [model_id],
            "number_of_models": 1,
            "number_of_portfolios": 2,
            "whole_book": False,
        }
        assert run["options"] == {"cash_floor": "2%", "maximum_trades": 5}
        assert (run["correlation_id"], run["begun_by"], run["retry_of"]) == (
            "morning-run",
            None,
            None,
        )
    assert whole["selection"]["whole_book"] is True


async def test_a_retry_has_the_portfolios_without_a_plan_the_options_and_the_model(
    client: httpx.AsyncClient, model_id: str, upstreams: Upstreams
) -> None:
    first = await begin(client, whole_book=True, options={"maximum_trades": 5})
    assert first["counts"] == {"REBALANCED": 2, "FAILED": 1}
    upstreams.set_balance(R, 700)

    again = await begin(client, retry_of=first["run_id"])

    assert again["counts"] == {"REBALANCED": 1}
    assert again["retry_of"] == first["run_id"]
    assert again["options"] == {"maximum_trades": 5}
    assert again["selection"]["models"] == [model_id]
    (rebalance_id,) = again["rebalances"]
    path = f"/api/v1/rebalance/{rebalance_id}/outcomes"
    assert [each["portfolio_id"] for each in (await client.get(path)).json()] == [R]


async def test_a_retry_may_name_reasons_and_other_options(
    client: httpx.AsyncClient, model_id: str
) -> None:
    hard = {"frozen": [A], "bands": "HARD"}
    first = await begin(client, models=[model_id], options=hard)
    assert first["counts"] == {"INFEASIBLE": 2, "FAILED": 1}

    again = await begin(
        client, retry_of=first["run_id"], codes=["infeasible"], options={"bands": "YIELD"}
    )

    assert again["counts"] == {"REBALANCED": 2}
    assert again["options"] == {"bands": "YIELD"}


async def test_a_retry_of_a_run_without_failures_is_refused_by_name(
    client: httpx.AsyncClient, model_id: str
) -> None:
    fine = await begin(client, portfolios=[P])

    answer = await client.post("/api/v1/runs", json={"retry_of": fine["run_id"]})

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error == {
        "pointer": "/retry_of",
        "detail": "no portfolio of the run is left without a plan",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"retry_of": "0" * 24, "whole_book": True},
        {"retry_of": "0" * 24, "models": ["0" * 24]},
        {"whole_book": True, "codes": ["infeasible"]},
        {"retry_of": "0" * 24, "codes": []},
        {"retry_of": "0" * 24, "codes": ["Not A Code"]},
        {"retry_of": "nowhere"},
    ],
)
async def test_a_retry_excludes_another_selection(client: httpx.AsyncClient, body: Json) -> None:
    assert (await client.post("/api/v1/runs", json=body)).status_code == 422


async def test_a_retry_of_an_unknown_run_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/runs", json={"retry_of": "0" * 24})

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_runs_are_listed_by_state_and_time(client: httpx.AsyncClient, model_id: str) -> None:
    first = await begin(client, models=[model_id])
    second = await begin(client, models=[model_id])

    async def ids(**query: Any) -> list[str]:
        answer = await client.get("/api/v1/runs", params=query)
        assert answer.headers["x-total-count"] == str(len(answer.json()))
        return [each["run_id"] for each in answer.json()]

    assert await ids(status=["COMPLETED", "STOPPED"]) == [second["run_id"], first["run_id"]]
    assert await ids(status="RUNNING") == []
    assert await ids(since=second["created_at"]) == [second["run_id"]]
    assert (await client.get("/api/v1/runs?since=0.5")).status_code == 422


async def test_the_last_event_may_be_named_in_the_query(
    client: httpx.AsyncClient, model_id: str
) -> None:
    run = await begin(client, models=[model_id])
    path = f"/api/v1/runs/{run['run_id']}/events"

    behind = await client.get(path, params={"last_event_id": "2"})
    by_header = await client.get(
        path, params={"last_event_id": "1"}, headers={"Last-Event-ID": "2"}
    )

    chunks = [[name for name, *_ in parse_events(each.text)] for each in (behind, by_header)]
    assert [names.count("chunk") for names in chunks] == [1, 1]
