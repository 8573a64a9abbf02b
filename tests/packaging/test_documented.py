"""Comparison of tables in the documentation with the code that they describe."""

import re
import tomllib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from optimization.domain.certificate import Binding, Certificate, Method, Proof
from optimization.domain.options import OptionOverrides, RebalanceOptions
from optimization.domain.outcome import Edge, OutsideBand, Refusal
from storage import validators
from storage.idempotency_store import IdempotencyClaim
from storage.models import documents as model_documents
from storage.orders import order
from storage.rebalances import outcome_columns, outcomes
from storage.rebalances import rebalance as runs
from storage.runs import run as book
from tests.storage.orders.test_order_store import some
from tests.storage.runs.test_run_store import a_plan
from tests.storage.runs.test_run_store import a_run as a_book_run
from tests.support.samples import (
    NOON,
    make_answers,
    make_id,
    make_model,
    make_outcome,
    make_rebalance,
)

DOCS = Path(__file__).parents[2] / "docs"
OWN = {make_id("P", 0): OptionOverrides({"cash_floor": Decimal(1)})}
REFUSAL = Refusal("refused", "for a reason", {})


def full_outcome() -> dict[str, Any]:
    rebalance = make_rebalance()
    certificate = Certificate(
        Proof.OPTIMAL,
        Method.COVER,
        Decimal(2),
        Decimal(1),
        binding=(Binding("cash_floor", Decimal(0)),),
        solver="one",
        other_base=Decimal(1),
        violation=Decimal(2),
        violation_lower_bound=Decimal(1),
    )
    outside = OutsideBand(make_id("S", 0), next(iter(Edge)), Decimal(1), ("frozen",))
    outcome = replace(
        make_outcome(rebalance, 0),
        certificate=certificate,
        outside_band=(outside,),
        others=rebalance.securities[:1],
        before=(1, 2, 3, 4),
        after=(1, 2, 3, 4),
        cost=Decimal(1),
        counted_orders=1,
        refusal=REFUSAL,
    )
    return outcomes.encode_outcome("id", outcome)


def full_columns() -> dict[str, Any]:
    answers = make_answers(make_rebalance(16), range(16))
    units = answers.after.units.copy()
    units[0, 0] = 2**40  # an exception
    answers = replace(answers, after=replace(answers.after, units=units))
    return outcome_columns.encode_rows("6" * 24, 0, answers, slice(0, 16))


def documents() -> dict[str, set[str]]:
    """Collect the fields of complete documents, by collection."""
    model = replace(
        make_model(), options=RebalanceOptions(maximum_trades=3), last_rebalance_date=NOON
    )
    rebalance = replace(
        make_rebalance(),
        run_id="6" * 24,
        refusal=REFUSAL,
        unmatched=("A",),
        overrides_by_portfolio=OWN,
    )
    book_run = a_book_run(claim=IdempotencyClaim("key", "me"), overrides_by_portfolio=OWN)
    return {
        "models": set(model_documents.encode_model_contents(model)),
        "rebalances": set(runs.encode_rebalance(rebalance)),
        "outcomes": set(full_outcome()),
        "outcome_chunks": set(full_columns()),
        "runs": {*book.encode_run(book_run), *book.encode_plan(a_plan())},
        "orders": set(order.encode_order(some("6" * 24, 1)[0])),
    }


def description_of(collection: str) -> str:
    """Extract the description of a collection's documents from docs/reference/storage.md."""
    block = (DOCS / "reference/storage.md").read_text().split("```")[1]
    match = re.search(rf"^{collection} .*\n(?: +.*\n)*", block, re.MULTILINE)
    assert match is not None, collection
    return match[0]


@pytest.mark.parametrize("collection", sorted(documents()))
def test_every_field_that_is_stored_is_described(collection: str) -> None:
    words = set(re.findall(r"\w+", description_of(collection)))
    assert documents()[collection] - words == set()


@pytest.mark.parametrize("collection", sorted(validators.SCHEMAS))
def test_every_field_that_the_database_checks_is_described(collection: str) -> None:
    words = set(re.findall(r"\w+", description_of(collection)))
    assert set(validators.SCHEMAS[collection]["properties"]) - words == set()


def test_every_layer_is_in_the_table_of_who_imports_whom() -> None:
    contracts = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (
        contract["layers"]
        for contract in contracts["contracts"]
        if "serve_app" in contract.get("containers", ())
    )
    linted = {name for layer in layers for name in re.findall(r"\w+", layer)}
    table = (
        (DOCS / "explanation/architecture.md")
        .read_text()
        .partition("| layer | modules |")[2]
        .partition("\n\n")[0]
    )
    table_names = {
        name for row in table.splitlines() for name in re.findall(r"\w+", row.rpartition(" | ")[2])
    }
    assert linted - table_names == set()


def test_every_name_of_the_glossary_is_a_name_of_the_code() -> None:
    rows = re.findall(
        r"^\| [^|]+ \| ([^|]*) \| .* \|$", (DOCS / "index.md").read_text(), re.MULTILINE
    )
    class_names = {name for row in rows for name in re.findall(r"`([A-Z][a-z]\w+)`", row)}
    packages = ("optimization", "storage", "serve_app")
    sources = [
        path.read_text() for package in packages for path in (DOCS.parent / package).rglob("*.py")
    ]
    defined = {name for text in sources for name in re.findall(r"^class (\w+)", text, re.MULTILINE)}

    assert len(class_names) > 15
    assert class_names - defined == set()
