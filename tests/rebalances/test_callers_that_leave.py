"""Callers that leave while the model is looked up, whose cancellation the driver may swallow."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from optimization import MODEL_RULES, NO_OVERRIDES, Model
from serve_app.deployments.long_bodies import answer_text
from serve_app.deployments.optimizer import OptimizerParts
from serve_app.ports.optimizer import Optimizer
from serve_app.ports.rebalances import RebalanceModel, RebalancePortfolio
from serve_app.rebalances.drift_scans import DriftScanner
from serve_app.runs.coordinator import Coordinator
from serve_app.settings import Settings
from storage.models.model_store import ModelStore
from storage.rebalances.rebalance import new_rebalance_id
from tests.support.fakes import P, Stored, build_resources
from tests.support.in_process import LocalRunner, connect_optimizer, make_two_owners

Ask = Callable[[Optimizer, str], Awaitable[Any]]
ASKED: dict[str, Ask] = {
    "portfolio": lambda port, _: port.rebalance_portfolio(
        RebalancePortfolio(new_rebalance_id(), P)
    ),
    "model": lambda port, model_id: port.rebalance_model(
        RebalanceModel(new_rebalance_id(), model_id)
    ),
    "preview of a portfolio": lambda port, _: port.preview_portfolio(P, None, NO_OVERRIDES),
    "preview of a model": lambda port, model_id: port.preview_model(model_id, NO_OVERRIDES),
}


@dataclass
class DeafModels:
    """Store of models that answers although its caller was cancelled, as PyMongo may."""

    models: ModelStore
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, model_id: str) -> Model:
        await self._lose_cancellation()
        return await self.models.read(model_id)

    async def find_followed(self, portfolio_id: str, model_id: str | None = None) -> Model:
        await self._lose_cancellation()
        return await self.models.find_followed(portfolio_id, model_id)

    async def _lose_cancellation(self) -> None:
        self.reached.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


@pytest.mark.parametrize("asked", ASKED)
async def test_a_caller_that_leaves_during_the_look_up_of_the_model_stores_nothing(
    settings: Settings, database: Any, stored: Stored, model: dict[str, Any], asked: str
) -> None:
    resources = build_resources(database, make_two_owners(), MODEL_RULES[settings.model_rules])
    models: Any = DeafModels(resources.models)
    resources = replace(resources, models=models)
    coordinator = Coordinator(settings, resources, LocalRunner)
    scanner = DriftScanner(settings, resources)
    parts = OptimizerParts(resources, coordinator, answer_text, LocalRunner, scanner)
    before = asyncio.all_tasks()
    calling = ASKED[asked](connect_optimizer(settings, parts), model["model_id"])

    caller = asyncio.ensure_future(calling)
    await models.reached.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    left = asyncio.all_tasks() - {asyncio.current_task()} - before
    await asyncio.gather(*left, return_exceptions=True)

    assert await stored.rebalances.read_page() == ((), 0)
