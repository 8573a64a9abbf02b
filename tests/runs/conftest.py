"""Fixtures of runs: the real database, models in it, upstreams of five lines each."""

from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.options import RebalanceOptions
from serve_app.resources import Resources
from serve_app.settings import Settings, read_settings
from tests.support.fakes import PRICE, A, B, build_resources
from tests.support.in_process import Upstreams

BAND = DriftBand(Decimal("0.05"), Decimal("0.05"))
Added = Callable[..., Coroutine[Any, Any, Model]]


@pytest.fixture
def upstreams() -> Upstreams:
    return Upstreams({A: PRICE, B: PRICE})


@pytest.fixture
def settings() -> Settings:
    return read_settings({"run_chunk_size": 10, "run_chunk_tries": 2, "run_patience_s": 60})


@pytest.fixture
def resources(database: Any, upstreams: Upstreams) -> Resources:
    return build_resources(database, upstreams)


@pytest.fixture
def added(resources: Resources) -> Added:
    """Return a function that stores a model of one security for portfolios."""

    async def add(
        name: str,
        portfolio_ids: Sequence[str],
        security_id: str | None = A,
        options: RebalanceOptions | None = None,
    ) -> Model:
        targets = () if security_id is None else (Target(security_id, Decimal("0.5"), BAND),)
        return await resources.models.add(
            Model(name, targets, tuple(portfolio_ids), options=options)
        )

    return add
