"""A whole service under MODEL_RULES=general: the demonstration, and a run over a Parquet book."""

import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.client import Client, Position
from tests.support.demonstration import Demonstration, run_demonstration

pytestmark = pytest.mark.cluster
ACCOUNTS = ("401(k) Åse", "A/B", "Müller & Söhne")
BOOK = "book.parquet"


@pytest.fixture(scope="module")
def demonstration() -> Iterator[Demonstration]:
    """A running `ordergen demo` under the general rules, beside a book of its own."""
    with tempfile.TemporaryDirectory(prefix="og-") as directory:
        write_book(Path(directory))
        settings = {"MODEL_RULES": "general", "HOLDINGS_DIRECTORY": directory}
        with run_demonstration(Path(directory), **settings) as running:
            yield running


def write_book(directory: Path) -> None:
    rows = [(account, None, Decimal(50_000)) for account in ACCOUNTS]
    names = ("portfolio_id", "security_id", "quantity")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    types = (pa.string(), pa.string(), pa.decimal128(20, 2))
    pq.write_table(
        pa.table(columns, pa.schema([*zip(names, types, strict=True)])), directory / BOOK
    )


def test_the_demonstration_has_natural_ids_and_ends_in_band(
    demonstration: Demonstration,
) -> None:
    assert "ACCOUNT-0000000001" in demonstration.printed
    assert "5 of 5 portfolios are in band" in demonstration.printed


def test_a_run_over_a_book_of_natural_ids_is_solved_and_told_by_the_client(
    demonstration: Demonstration,
) -> None:
    with Client(demonstration.url, timeout_s=60) as service:
        (growth,) = service.list_models()
        security_ids = [position.security_id for position in growth.positions[:3]]
        thirds = [
            Position(security_id, Fraction(1, 3), relative_drift=Decimal("0.25"))
            for security_id in security_ids
        ]
        model = service.add_model("Thirds", thirds, ACCOUNTS)
        run = service.begin_run(models=[model.model_id], holdings={"source": "file", "file": BOOK})
        until = time.monotonic() + 60
        while run.status not in {"COMPLETED", "FAILED"} and time.monotonic() < until:
            time.sleep(0.2)
            run = service.read_run(run.run_id)
        outcomes = [*service.list_portfolios(run.rebalances[0])]
        alone = [service.list_positions(run.rebalances[0], account) for account in ACCOUNTS]

    assert (run.status, run.counts) == ("COMPLETED", {"REBALANCED": 3})
    assert [outcome.portfolio_id for outcome in outcomes] == [*ACCOUNTS]
    assert [[*positions] for positions in alone] == [[*outcome.positions] for outcome in outcomes]
