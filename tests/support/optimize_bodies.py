"""Bodies of POST /optimize with tickers for ids, and an application for this route alone."""

import json
from typing import Any

import httpx
from fastapi import FastAPI

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.deployments.long_bodies import answer_text
from serve_app.deployments.optimizer import OptimizerParts
from serve_app.deployments.uploads import answer_upload
from serve_app.settings import Settings
from tests.support.fakes import render_no_metrics
from tests.support.in_process import connect_optimizer

Json = dict[str, Any]
PATH = "/api/v1/optimize"
JSON = {"content-type": "application/json"}


def build_optimize_app(settings: Settings) -> FastAPI:
    """Build an application without a database and without upstreams."""
    nothing: Any = None
    parts = OptimizerParts(
        nothing, nothing, answer_text, nothing, nothing, answer_upload=answer_upload
    )
    optimizer = connect_optimizer(settings, parts)
    ports = Ports(nothing, optimizer, {}, render_no_metrics)
    return api_app(settings, ports)


def open_client(app: FastAPI) -> httpx.AsyncClient:
    """A client of an application in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


def make_line(security_id: str, target: object, **band: object) -> Json:
    band = band or {"low_drift": "0.1", "high_drift": "0.1"}
    return {"security_id": security_id, "target": target, **band}


def make_body(*positions: Json, cash: object = "1000", **holdings: object) -> Json:
    """Build a body in which every price is 10."""
    lines = positions or (make_line("VTI", "0.6"), make_line("BND", "0.4"))
    names = [line["security_id"] for line in lines]
    return {
        "model": {"positions": list(lines)},
        "prices": dict.fromkeys((*names, *holdings), "10"),
        "portfolios": [{"portfolio_id": "U1234567", "cash": cash, "holdings": holdings}],
    }


async def post_body(client: httpx.AsyncClient, body: Json | str) -> Json:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = await client.post(PATH, content=text, headers=JSON)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=str)[0]


def read_trades(outcome: Json) -> dict[str, str]:
    return {
        trade["security_id"]: ("-" if trade["transaction_type"] == "SELL" else "")
        + str(trade["quantity"])
        for trade in outcome["transactions"]
    }


async def read_refusal(client: httpx.AsyncClient, body: Json) -> Json:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    return answer.json()
