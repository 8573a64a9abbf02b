"""An example of every kind of problem: for the OpenAPI document, the pages of the service, and docs/problems."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serve_app.api.problems import Kind, problem
from serve_app.wire.fields import MODEL, PORTFOLIO, SECURITY
from serve_app.wire.rebalancing import REBALANCE
from serve_app.wire.text import Json

CORRELATION = "7d0c1c0a3f6e4d7c8f6f0f1b2f3a4b5c"
MODELS = "/api/v1/models"
ONE_MODEL = f"/api/v1/model/{MODEL}"
POSITION = f"{ONE_MODEL}/position"
OF_MODEL = f"{ONE_MODEL}/rebalance"
ORDERS = f"/api/v1/rebalance/{REBALANCE}/orders"
OF_PORTFOLIO = f"/api/v1/portfolio/{PORTFOLIO}/rebalance"
IDS: Json = {"portfolio_id": PORTFOLIO, "rebalance_id": REBALANCE, "model_id": MODEL}


@dataclass(frozen=True, slots=True)
class Example:
    """What one problem said: its sentence, where, and the members of its own."""

    detail: str
    instance: str = ONE_MODEL
    members: Mapping[str, object] = field(default_factory=dict[str, object])


INFEASIBLE: Json = {
    "securities": [
        {
            "security_id": SECURITY,
            "price": "812.40",
            "target": "0.055",
            "low_drift": "0.005",
            "high_drift": "0.005",
            "smallest_band": {"low_drift": "0.014376", "high_drift": "0.014376", "lots": "1"},
        }
    ],
    "limits": [],
    "nearest_plan": {
        "transactions": [{"transaction_type": "BUY", "security_id": SECURITY, "quantity": "1"}],
        "cash_after_rebalance": "19187.60",
        "objective": "287.60",
        "outside_band": [{"security_id": SECURITY, "quantity": "1", "actual": "0.0406"}],
    },
}

EXAMPLES: Mapping[str, Example] = {
    "bad-request": Example("The request cannot be read."),
    "not-json": Example(
        "the body: not JSON: Expecting property name enclosed in double quotes at 1",
        MODELS,
        {
            "errors": [
                {
                    "pointer": "",
                    "detail": "not JSON: Expecting property name enclosed in double quotes at 1",
                }
            ]
        },
    ),
    "bad-id": Example(
        "model_id: String should match pattern '^[0-9a-fA-F]{24}$'",
        "/api/v1/model/zz",
        {
            "errors": [
                {
                    "parameter": "model_id",
                    "detail": "String should match pattern '^[0-9a-fA-F]{24}$'",
                }
            ]
        },
    ),
    "not-found": Example(f"there is no model {MODEL}"),
    "unknown-route": Example("There is no such route.", "/api/v1/modells"),
    "method-not-allowed": Example("Not for this method.", MODELS),
    "not-acceptable": Example(
        "the answer can be application/json, text/csv",
        f"/api/v1/rebalance/{REBALANCE}/transactions",
        {"offered": ["application/json", "text/csv"]},
    ),
    "name-taken": Example("another model is named 'Growth'", MODELS),
    "run-cancelled": Example(f"run {REBALANCE} is CANCELLED", OF_MODEL, {"run_id": REBALANCE}),
    "run-goes-on": Example(
        f"rebalance {REBALANCE} belongs to run {REBALANCE}, which is not over",
        f"/api/v1/rebalance/{REBALANCE}",
        {"run_id": REBALANCE},
    ),
    "stale-version": Example(
        f"model {MODEL} is at version 3, the change was made to version 2",
        members={"expected_version": 2, "actual_version": 3},
    ),
    "security-in-model": Example(f"security {SECURITY} is already in the model", POSITION),
    "position-differs": Example(f"security {SECURITY} is in the model with other values", POSITION),
    "request-in-progress": Example(
        "the request of idempotency key '2026-11-23/growth' is still in progress", OF_MODEL
    ),
    "rebalance-not-completed": Example(f"rebalance {REBALANCE} is STOPPED, not COMPLETED", ORDERS),
    "hand-over-in-progress": Example(
        f"the orders of rebalance {REBALANCE} are being handed over", ORDERS
    ),
    "orders-sent": Example(
        f"100 orders of rebalance {REBALANCE} were sent to the order service",
        f"/api/v1/rebalance/{REBALANCE}",
    ),
    "precondition-failed": Example("If-Match names another version than 3"),
    "body-too-large": Example("The body is too large.", MODELS),
    "precondition-required": Example("a change needs If-Match with the ETag of what was read"),
    "invalid-request": Example(
        "/positions/0/target is 0.007: a target is a multiple of 0.005",
        MODELS,
        {
            "errors": [
                {"pointer": "/positions/0/target", "detail": "a target is a multiple of 0.005"}
            ]
        },
    ),
    "idempotency-key-reused": Example(
        "the idempotency key '2026-11-23/growth' was used for another request", OF_MODEL
    ),
    "infeasible": Example(
        f"No feasible solution exists: {SECURITY} has no whole lot inside the drift band.",
        OF_PORTFOLIO,
        IDS | INFEASIBLE,
    ),
    "no-solution-in-time": Example(
        f"no plan was found for portfolio {PORTFOLIO} within 30 s; one may exist", OF_PORTFOLIO, IDS
    ),
    "prices-missing": Example(
        f"no price for {SECURITY}", OF_PORTFOLIO, IDS | {"securities": [SECURITY]}
    ),
    "too-many-rows": Example(
        "a sheet holds 1048575 transactions and there are more",
        f"/api/v1/rebalance/{REBALANCE}/transactions",
    ),
    "options-conflict": Example(
        "the cash floor is above the cash ceiling",
        OF_PORTFOLIO,
        {"options": ["cash_floor", "cash_ceiling"]},
    ),
    "holdings-missing": Example(f"portfolio {PORTFOLIO} has no balances", OF_PORTFOLIO, IDS),
    "securities-unknown": Example(
        f"unknown securities: {SECURITY}", OF_PORTFOLIO, {"securities": [SECURITY]}
    ),
    "refused": Example(f"prices.{SECURITY} is 0: a price is greater than 0", OF_PORTFOLIO, IDS),
    "none-rebalanced": Example(
        f"No portfolio could be rebalanced: none of 2 portfolios of model {MODEL} was rebalanced.",
        OF_MODEL,
        {"rebalance_id": REBALANCE, "portfolios": []},
    ),
    "unverified-plan": Example(
        f"no verified plan for portfolio {PORTFOLIO}: turnover_cap", OF_PORTFOLIO, IDS
    ),
    "internal-error": Example("The cause is in the log, under the correlation id."),
    "holdings-file": Example(
        "the holdings file 2026-11-23.parquet has no column portfolio_id", "/api/v1/runs"
    ),
    "deadline-exceeded": Example("X-Request-Timeout: 2.5 s have passed", OF_PORTFOLIO),
    "upstream-contract": Example(
        "the pricing service broke its contract: /api/v1/prices answered 404", OF_PORTFOLIO
    ),
    "upstream-unavailable": Example(
        "the pricing service is unavailable: /api/v1/prices answered 503",
        OF_PORTFOLIO,
        {"upstream": "pricing"},
    ),
    "orders-in-doubt": Example(
        f"of 1000 orders of rebalance {REBALANCE} it is not known whether they arrived; in 180 s it will be",
        ORDERS,
        {"orders_in_doubt": 1000},
    ),
    "storage-unavailable": Example("the database did not answer in time"),
    "overloaded": Example("the queue of Optimizer is full", OF_PORTFOLIO),
    "not-ready": Example("not ready: database", "/health/ready", {"failing": ["database"]}),
}


def example_of(kind: Kind) -> Json:
    """A whole problem of this kind, as an answer has it."""
    example = EXAMPLES.get(kind.slug, Example(f"{kind.title}."))
    own = {"instance": example.instance, "correlation_id": CORRELATION}
    return problem(kind, example.detail, {**example.members, **own})
