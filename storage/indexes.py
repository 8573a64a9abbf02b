"""Indexes of every collection, each with the queries that it serves."""

from collections.abc import Mapping
from typing import Final

from pymongo import IndexModel

from optimization import Status
from storage import audit_schema, drift_schema, idempotency_store, proposal_schema
from storage.access import api_key_store, session_store
from storage.models import model_store
from storage.orders import order_store, portfolio_claim_store, submission_store
from storage.rebalances import outcome_columns, outcomes, rebalance
from storage.rebalances import removal as rebalance_removal
from storage.runs import chunk_store, run_store

DAY_S: Final = 24 * 60 * 60

INDEXES: Final[Mapping[str, tuple[IndexModel, ...]]] = {
    model_store.COLLECTION: (
        # one model a name; models sorted by name
        IndexModel([("name", 1)], name="name", unique=True),
        # the newest model that a portfolio follows
        IndexModel([("portfolios", 1), ("created_at", -1), ("_id", -1)], name="newest_followed"),
        # models sorted by last_rebalance_date
        IndexModel([("last_rebalance_date", 1), ("_id", 1)], name="last_rebalance_date"),
        # a model that the rules of GlobeCo would refuse
        IndexModel([("rules", 1)], name="rules", sparse=True),
    ),
    rebalance.COLLECTION: (
        # the page of rebalances, newest first
        IndexModel([("started_at", -1), ("_id", -1)], name="newest"),
        # rebalances sorted by model_name
        IndexModel([("model_name", 1), ("_id", 1)], name="model_name"),
        # rebalances sorted by number_of_portfolios
        IndexModel([("number_of_portfolios", 1), ("_id", 1)], name="number_of_portfolios"),
        # the rebalances of a run
        IndexModel([("run_id", 1), ("_id", 1)], name="of_run", sparse=True),
        # the rebalances of a portfolio that hold its outcome; covers the ids
        IndexModel(
            [(f"{rebalance.OUTCOME}.portfolio_id", 1), ("_id", -1)], name="portfolio", sparse=True
        ),
        # removals that broke off
        IndexModel([(rebalance_removal.MARK, 1)], name="being_removed", sparse=True),
        audit_schema.WITH_RECORDS,
    ),
    outcomes.COLLECTION: (
        # the rebalances of a portfolio, its outcome in one of them; covers the ids
        IndexModel([("portfolio_id", 1), ("_id", -1)], name="portfolio"),
    ),
    outcome_columns.COLLECTION: (
        # the rebalances of a portfolio, its outcome in one of them; not unique, because the check
        # of every id costs as much as the rest of the insert
        IndexModel([("ids", 1), ("rebalance_id", 1)], name="portfolio"),
        # counts of a rebalance by status, and its transactions, without reading the columns
        IndexModel(
            [
                ("rebalance_id", 1),
                *((f"counts.{status.value}", 1) for status in Status),
                ("transactions", 1),
            ],
            name="counts",
        ),
    ),
    run_store.COLLECTION: (
        # the unfinished runs, the oldest first
        IndexModel([("status", 1), ("_id", 1)], name="unfinished"),
        # the finished runs that are due to be removed
        IndexModel([("finished_at", 1)], name="finished"),
        audit_schema.WITH_RECORDS,
    ),
    chunk_store.COLLECTION: (
        # the open chunks of a run, in order
        IndexModel([("run_id", 1), ("state", 1), ("_id", 1)], name="open"),
        # the done chunks of a run since an event; unique, because otherwise two processes that take
        # themselves for the holder of the lease could give one number twice
        IndexModel(
            [("run_id", 1), ("number", 1)],
            name="events",
            unique=True,
            partialFilterExpression={"number": {"$gt": 0}},
        ),
    ),
    idempotency_store.COLLECTION: (
        # keys expire after a day
        IndexModel([("created_at", 1)], name="forgotten", expireAfterSeconds=DAY_S),
    ),
    order_store.COLLECTION: (
        # the next orders to send, the least tried first; counts by state
        IndexModel(
            [("rebalance_id", 1), ("state", 1), ("attempts", 1), ("_id", 1)], name="next_in_state"
        ),
        # the page of orders
        IndexModel([("rebalance_id", 1), ("_id", 1)], name="rebalance"),
        # orders in some states over all rebalances, the latest first
        IndexModel([("state", 1), ("rebalanced_at", -1), ("_id", 1)], name="latest_in_state"),
        # the open orders of a portfolio
        IndexModel(
            [("portfolio_id", 1), ("_id", 1)],
            name="open_of_portfolio",
            partialFilterExpression={"open": True},
        ),
        # the orders of a portfolio in rebalances later than another
        IndexModel([("portfolio_id", 1), ("rebalanced_at", -1)], name="later_of_portfolio"),
    ),
    submission_store.COLLECTION: (audit_schema.WITH_RECORDS,),
    portfolio_claim_store.COLLECTION: (),
    api_key_store.COLLECTION: (
        # the page of keys, newest first
        IndexModel([("created_at", -1), ("_id", -1)], name="newest"),
        audit_schema.WITH_RECORDS,
    ),
    session_store.COLLECTION: (
        # sessions are removed when they have expired
        IndexModel([("expires_at", 1)], name="expired", expireAfterSeconds=0),
    ),
    **audit_schema.INDEXES,
    **proposal_schema.INDEXES,
    **drift_schema.INDEXES,
}
