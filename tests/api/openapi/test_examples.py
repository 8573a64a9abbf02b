"""Examples of the OpenAPI document: the service answers each request as its example says."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from optimization.domain.model import Model
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio
from optimization.engine import rebalance
from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.openapi import samples
from serve_app.api.openapi.answer_examples import OF_SHAPES
from serve_app.api.schemas.fields import MODEL, PORTFOLIO, SECURITY
from serve_app.api.schemas.outcome_lines import OutcomeLines
from serve_app.api.schemas.rebalances import outcome_json
from serve_app.auth.permissions import Role
from serve_app.json_text import encode
from serve_app.ports.optimizer import Optimizer
from serve_app.settings import Settings, read_settings
from serve_app.upstream.circuit_breaker import BreakerState
from serve_app.upstream.http_client import UpstreamHealth
from storage.mongo.connection import ping
from tests.support.approvals import connect_upstreams
from tests.support.drift_scans import wait_until_measured
from tests.support.every_route import DOCUMENT
from tests.support.fakes import Stored, render_no_metrics
from tests.support.flaky_order_service import OrderDesk, refuse_first
from tests.support.in_process import Upstreams
from tests.support.keys import add_key, client_with
from tests.support.run_streams import parse_events, wait_until_over

Json = dict[str, Any]
Key = tuple[str, str]
SERVICES = ("portfolio_accounting", "pricing", "security", "portfolio", "order")
OPERATIONS: dict[str, tuple[str, str, Json]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
NAMED = {"X-Correlation-ID": samples.CORRELATION}
ASYNC = {"Prefer": "respond-async", **NAMED}
MADE = re.compile(r"[0-9a-f]{24}|\d{4}-\d\d-\d\d(T[0-9:.]+Z)?")
GIVEN = {SECURITY, PORTFOLIO, samples.OTHER_PORTFOLIO}
# Compared by members without values, because the examples show a run in progress.
OF_A_RUN = {"read_run", "list_runs", "cancel_run", "follow_run"}
OF_SESSIONS = {"read_session", "begin_session", "end_session"}  # tests/api/routes/test_sessions.py
OF_A_RUN |= {"list_audit_entries", "read_audit_head"}  # because every hash is another


def examples() -> dict[Key, Any]:
    """Collect the example of every successful answer, by operation and media type."""
    found: dict[Key, Any] = {}
    for name, (_, _, operation) in OPERATIONS.items():
        if name in OF_SESSIONS:
            continue
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                if status.startswith("2") and "example" in content:
                    found[name, f"{status} {media_type}"] = content["example"]
    return found


class Named(Upstreams):
    """Upstreams with names of portfolios, and one security with a ticker."""

    async def read_tickers(self, security_ids: Iterable[str]) -> Mapping[str, str]:
        tickers = {**await super().read_tickers(security_ids)}
        return tickers | {each: samples.TICKER for each in tickers if each == SECURITY}

    async def read_names(self, portfolio_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        return dict.fromkeys(portfolio_ids, samples.NAME)


@pytest.fixture
def settings() -> Settings:
    urls = dict.fromkeys((f"{name}_service_url" for name in SERVICES), "http://upstream")
    return read_settings({"upstreams": "real", **urls})


@pytest.fixture
def upstreams() -> Upstreams:
    prices = {**samples.HELD.prices, samples.TICKER: samples.HELD.prices[SECURITY]}
    world = Named(prices)
    world.set_balance(PORTFOLIO, samples.HELD.cash, **samples.HELD.holdings)
    return world


async def well() -> UpstreamHealth:
    return UpstreamHealth(is_healthy=True, breaker=BreakerState.CLOSED)


@pytest.fixture
def app(
    settings: Settings, stored: Stored, optimizer: Optimizer, database: Any, upstreams: Any
) -> FastAPI:
    stored.resources = replace(stored.resources, portfolios=upstreams)
    checks = {"database": lambda: ping(database)}
    states = dict.fromkeys(samples.UPSTREAMS, well)
    return api_app(settings, Ports(stored.port, optimizer, checks, render_no_metrics, states))


class Asker:
    """Client of the operations that sends the bodies of their examples and keeps the answers."""

    def __init__(self, client: httpx.AsyncClient, answers: dict[Key, Any] | None = None) -> None:
        self._client = client
        self.answers: dict[Key, Any] = {} if answers is None else answers

    async def ask(
        self,
        name: str,
        ids: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call an operation with these ids in place of those of its example; return the answer."""
        method, path, operation = OPERATIONS[name]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        body = json.dumps(content["example"]) if content else None
        for parameter, value in (ids or {}).items():
            path = path.replace(f"{{{parameter}}}", value)
        if body and ids and "model_id" in ids:
            body = body.replace(MODEL, ids["model_id"])
        answer = await self._client.request(
            method, path, content=body, headers=headers, params=query
        )
        assert answer.is_success, (name, answer.text)
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        read = answer.json() if media_type == "application/json" else answer.text
        self.answers.setdefault((name, f"{answer.status_code} {media_type}"), read)
        return read


async def make_edits(asker: Asker, client: httpx.AsyncClient) -> None:
    """Make every change, each to a fresh model."""
    whole, (_, _, operation) = samples.GROWTH, OPERATIONS["add_model"]
    posted = operation["requestBody"]["content"]["application/json"]["example"]
    without: Json = {**posted, "positions": []}
    of_less: Json = {**posted, "positions": [{**posted["positions"][0], "target": "0.2"}]}
    of_both = {**posted, "portfolios": [samples.OTHER_PORTFOLIO, *whole.portfolio_ids]}
    of_other = {**posted, "portfolios": [samples.OTHER_PORTFOLIO]}
    for name, before in {
        "replace_model": of_other,
        "add_position": without,
        "replace_position": of_less,
        "remove_position": posted,
        "add_portfolios": of_other,
        "remove_portfolios": of_both,
    }.items():
        model = (await client.post("/api/v1/models", json=before)).json()
        await asker.ask(name, {"model_id": model["model_id"]}, NAMED)
        if name == "add_position":
            of = {"model_id": model["model_id"]}
            await asker.ask("list_model_versions", of, query={"limit": 1})
            await asker.ask("read_model_version", {**of, "version": "2"})
        await asker.ask("delete_model", {"model_id": model["model_id"]}, query={"version": 2})


async def rebalance_and_submit(asker: Asker, ids: Mapping[str, str], desk: OrderDesk) -> None:
    """Rebalance, read the stored results, and submit orders whose first batch is refused."""
    (element,) = await asker.ask("rebalance_model", ids)
    of = {**ids, "rebalance_id": element["rebalance_id"]}
    await asker.ask("list_rebalances")
    await asker.ask("list_rebalance_summaries")
    await asker.ask("list_rebalances_of_portfolios")
    await asker.ask("list_last_outcomes", query={"ids": PORTFOLIO})
    for name in ("read_rebalance", "list_portfolios", "list_positions", "read_rebalance_summary"):
        await asker.ask(name, of)
    for name in (
        "list_outcomes",
        "read_outcome_totals",
        "read_outcome",
        "list_causes",
        "list_trades",
        "read_trade_totals",
    ):
        await asker.ask(name, of)
    for media_type in ("application/json", "application/x-ndjson", "application/jsonl", "text/csv"):
        await asker.ask("list_transactions", of, {"Accept": media_type})
    desk.faults.append(refuse_first(1))
    await asker.ask("hand_over", of)
    await asker.ask("hand_over", of)
    await asker.ask("list_orders", of)
    await asker.ask("list_orders_of_all")
    other = await asker.ask("rebalance_portfolio", ids)
    await asker.ask(
        "delete_rebalance", {"rebalance_id": other["rebalance_id"]}, query={"version": 1}
    )


async def propose_and_decide(app: FastAPI, asker: Asker, stored: Stored, model_id: str) -> None:
    """Propose a rebalance under two keys of a service that authenticates; hold, approve, withdraw.

    The answers go to ``asker``.
    """
    people = {"nightly-rebalance": Role.TRADER, "anna": Role.APPROVER}
    keys = {name: await add_key(stored, role, owner=name) for name, role in people.items()}
    async with (
        client_with(app, keys["nightly-rebalance"]) as nightly_client,
        client_with(app, keys["anna"]) as anna_client,
    ):
        nightly, anna = Asker(nightly_client, asker.answers), Asker(anna_client, asker.answers)
        ids = {"model_id": model_id}
        (first,) = await nightly.ask("rebalance_model", ids)
        of = {"rebalance_id": first["rebalance_id"]}
        of |= {"proposal_id": (await nightly.ask("propose_orders", of))["proposal_id"]}
        await nightly.ask("list_proposals")
        await nightly.ask("read_proposal", of)
        trade = {"portfolio_id": PORTFOLIO, "security_id": SECURITY}
        hold = {"decision": "HOLD", "transactions": [trade], "version": 1}
        path = f"/api/v1/proposal/{of['proposal_id']}/decisions"
        held = await anna_client.post(path, json={**hold, "note": samples.HELD_TRADE.note})
        assert held.is_success, held.text
        await anna.ask("list_holds", of)
        await anna.ask("decide_proposal", of)
        (second,) = await nightly.ask("rebalance_model", ids)
        of = {"rebalance_id": second["rebalance_id"]}
        proposal = await nightly.ask("propose_orders", of)
        await nightly.ask("withdraw_proposal", {"proposal_id": proposal["proposal_id"]})


async def begin_and_read_runs(
    asker: Asker, ids: Mapping[str, str], client: httpx.AsyncClient
) -> None:
    """Begin a run by each route that begins runs, and read it."""
    for name in ("rebalance_model", "rebalance_portfolio"):
        begun = await asker.ask(name, ids, ASYNC)
        await wait_until_over(client, begun["run_id"])
    begun = await asker.ask("begin_run", ids, NAMED)
    of = {"run_id": begun["run_id"]}
    await wait_until_over(client, begun["run_id"])
    for name in ("read_run", "follow_run", "stream_outcomes", "list_run_causes", "cancel_run"):
        await asker.ask(name, of)
    await asker.ask("list_runs", query={"limit": 1})


async def scan_book(asker: Asker, client: httpx.AsyncClient) -> None:
    """Measure the book, and read what was measured."""
    begun = await asker.ask("begin_drift_scan", headers=NAMED)
    await wait_until_measured(client, begun["scan_id"])
    of = {"scan_id": begun["scan_id"]}
    for name in ("read_drift_scan", "list_drift_lines", "read_drift_histogram"):
        await asker.ask(name, of)
    await asker.ask("list_drift_scans")


async def read_audit(asker: Asker) -> None:
    for media_type in ("application/json", "application/x-ndjson", "application/jsonl", "text/csv"):
        query = {"sort_by": "seq", "limit": 1}
        await asker.ask("list_audit_entries", None, {"Accept": media_type}, query)
    await asker.ask("read_audit_head")


async def test_every_answer_is_that_of_its_example_to_the_example_of_its_request(
    client: httpx.AsyncClient,
    desk: OrderDesk,
    app: FastAPI,
    stored: Stored,
    settings: Settings,
    upstreams: Upstreams,
) -> None:
    asker = Asker(client)
    await make_edits(asker, client)
    model = await asker.ask("add_model")
    ids = {"model_id": model["model_id"], "portfolio_id": PORTFOLIO}
    for name in ("list_models", "read_model", "measure_portfolio", "measure_portfolios"):
        await asker.ask(name, ids)
    await asker.ask("try_model", ids)
    await scan_book(asker, client)
    await rebalance_and_submit(asker, ids, desk)
    await begin_and_read_runs(asker, ids, client)
    rule = await asker.ask("add_rule")
    for name in ("list_rules", "read_rule", "replace_rule"):
        await asker.ask(name, {"rule_id": rule["rule_id"]})
    await asker.ask("delete_rule", {"rule_id": rule["rule_id"]}, query={"version": 2})
    connect_upstreams(stored, upstreams)
    stored.settings = settings.model_copy(update={"auth": "keys", "require_approvals": 2})
    with_keys = api_app(stored.settings, app.state.ports)
    await propose_and_decide(with_keys, asker, stored, model["model_id"])
    await asker.ask("name_portfolios", query={"ids": PORTFOLIO})
    await asker.ask("name_securities", query={"ids": SECURITY})
    for name in ("optimize", "live", "ready", "health", "system", "metrics"):
        await asker.ask(name)
    await asker.ask("optimize", headers={"Accept": "text/csv"})
    await read_audit(asker)

    expected = examples()
    answered = {key: each for key, each in asker.answers.items() if key in expected}
    assert answered.keys() == expected.keys()
    for key, example in expected.items():
        assert comparable(key, answered[key]) == comparable(key, example), key


def comparable(key: Key, answer: Any) -> Any:
    """Render an answer as JSON text, to compare the order of members, without generated values."""
    if key[0] == "metrics":
        return None  # the text of Ray, which the ingress passes on
    if key[0] in {"list_causes", "list_run_causes"}:
        return list(answer)  # because every portfolio of these has a plan
    if key[0] == "system":
        return list(answer), list(answer["settings"])  # because the settings are those of tests
    if key[0] == "follow_run":
        return [members(data) for _, _, data in parse_events(answer)]
    if key[0] == "list_audit_entries" and isinstance(answer, str):
        line = answer.splitlines()[0]  # the header, or the first entry
        return list(json.loads(line)) if line.startswith("{") else line
    if key[0] in OF_A_RUN:
        return members(answer)
    text = mask_generated_values(json.dumps(answer))
    # The state may differ, because the coordinator may have planned the run meanwhile.
    return text.replace('"rebalances": ["made"]', '"rebalances": []')


def mask_generated_values(text: str) -> str:
    text = MADE.sub(lambda found: found[0] if found[0] in GIVEN else "made", text)
    return re.sub(r'"order_id": \d+', '"order_id": 1', text)


def members(value: Any) -> Any:
    """List the names of members in order, at places where all answers have the same members."""
    if isinstance(value, list):
        return [members(each) for each in value]
    assert isinstance(value, dict)
    fixed = ("portfolios", "chunks", "holdings")
    return [
        (name, list(value[name]) if name in fixed and isinstance(value[name], dict) else None)
        for name in value
    ]


SAMPLES: list[tuple[PortfolioOutcome, Model, Portfolio, RebalanceOptions]] = [
    (samples.SOLD, samples.GROWTH, samples.HELD, samples.OPTIONS),
    (samples.NOT_SOLD, samples.GROWTH, samples.HELD, samples.BUY_ONLY),
    (samples.INFEASIBLE, samples.NARROW, samples.IN_CASH, RebalanceOptions()),
]


@pytest.mark.parametrize(("outcome", "model", "portfolio", "options"), SAMPLES)
def test_the_outcomes_of_the_examples_are_those_of_the_engine(
    outcome: PortfolioOutcome, model: Model, portfolio: Portfolio, options: RebalanceOptions
) -> None:
    found = rebalance(model, portfolio, options)

    assert found == outcome
    assert encode_outcome(found) == encode_outcome(outcome)


def encode_outcome(outcome: PortfolioOutcome) -> bytes:
    return encode(outcome_json(outcome, None, None, OutcomeLines(samples.DAY)))


@pytest.mark.parametrize("shape", OF_SHAPES, ids=lambda shape: shape.__name__)
def test_the_members_of_an_example_stand_in_the_order_of_their_schema(
    shape: type[Any],
) -> None:
    example = OF_SHAPES[shape]

    assert list(example) == [name for name in shape.__annotations__ if name in example]


def test_the_amounts_of_the_examples_add_up() -> None:
    line = examples()["read_rebalance", "200 application/json"]["portfolios"][0]
    position = line["positions"][0]
    element = examples()["rebalance_portfolio", "200 application/json"]

    after = exact(position["adjusted_position_market_value"])
    assert after == position["adjusted_quantity"] * exact(position["price"])
    assert exact(line["cash_after_rebalance"]) + after == exact(line["market_value"])
    assert round(after / exact(line["base"]), 4) == exact(position["actual"])
    bought = exact(element["cash_before_rebalance"]) - exact(element["cash_after_rebalance"])
    assert abs(bought) == exact(element["turnover"])
    wanted = exact(element["base"]) * exact(position["target"])
    assert abs(after - wanted) == exact(element["objective"])


def exact(number: object) -> Decimal:
    return Decimal(str(number))


def test_the_parts_of_the_run_in_the_examples_add_up() -> None:
    run = examples()["read_run", "200 application/json"]

    done, total = run["portfolios"]["done"], run["portfolios"]["total"]
    assert sum(run["counts"].values()) == sum(run["methods"].values()) == done
    assert sum(run["proofs"].values()) == done
    assert run["remaining_seconds"] == round((total - done) / run["portfolios_per_second"], 1)
    assert len(run["rebalances"]) == run["number_of_rebalances"]
