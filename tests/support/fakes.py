"""Helpers of the route tests: the real store, a fake optimizer, small bodies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from optimization import GLOBECO, NO_OVERRIDES, ModelRules, OptionOverrides
from optimization.domain.certificate import Certificate, Method, Proof
from optimization.domain.model import Model
from optimization.domain.outcome import PortfolioOutcome, Refusal, Status
from optimization.domain.portfolio import Portfolio, PricedTarget, price_targets
from optimization.drift import DriftSummary, PortfolioDrift, measure_drift
from serve_app.call_context import correlation_id, find_author
from serve_app.deployments.handles import connect
from serve_app.deployments.store import StoreDeployment
from serve_app.deployments.store_parts import StoreParts
from serve_app.orders.submission import OrderSubmitter
from serve_app.ports.optimize import GivenOptions, RawRequest, RawResponse, Upload
from serve_app.ports.rebalances import Outcomes, RebalanceModel, RebalancePortfolio
from serve_app.ports.store import Store
from serve_app.resources import SUMMARIES, Resources
from serve_app.settings import Settings, read_settings
from serve_app.upstream.holdings.source import Balance
from storage.access.api_key_store import ApiKeyStore
from storage.access.session_store import SessionStore
from storage.audit_log import AuditLog
from storage.drift.line_store import DriftLineStore
from storage.drift.scan import DriftScan
from storage.drift.scan_store import DriftScanStore
from storage.idempotency_store import IdempotencyStore
from storage.models.history import ModelHistory
from storage.models.model_store import ModelStore
from storage.orders.open_order_store import OpenOrderStore
from storage.orders.order_store import OrderStore
from storage.orders.portfolio_claim_store import PortfolioClaimStore
from storage.orders.submission_store import OrderSubmissionStore
from storage.proposals.proposal_store import ProposalStore
from storage.rebalances.rebalance import Rebalance, RebalanceStatus, new_rebalance_id
from storage.rebalances.rebalance_store import RebalanceStore
from storage.rules.rule_store import RuleStore
from storage.runs.chunk_store import ChunkStore
from storage.runs.run_store import RunStore
from tests.support.local_handle import Handle

A, B = "A" * 24, "B" * 24
P, Q, R = "P" * 24, "Q" * 24, "R" * 24
PRICE = Decimal("10.25")
TICKERS = {A: "ALFA"}


class Stored:
    """The store of an application: its parts, to inspect and to replace, and a client."""

    def __init__(
        self, database: Any, rules: ModelRules = GLOBECO, settings: Settings | None = None
    ) -> None:
        nobody: Any = None
        self.settings = settings or read_settings()
        self.resources = build_resources(database, nobody, rules)
        self.submitter = OrderSubmitter(self.resources)
        handle: Any = Handle(lambda: self.deployment)
        self.port = connect(Store, handle)

    @property
    def deployment(self) -> StoreDeployment:
        """The deployment, built on the current parts."""
        parts = StoreParts(self.resources, self.submitter)
        return StoreDeployment(self.settings, lambda _: parts)

    @property
    def models(self) -> ModelStore:
        return self.resources.models

    @property
    def rebalances(self) -> RebalanceStore:
        return self.resources.rebalances


def build_resources(database: Any, upstreams: Any, rules: ModelRules = GLOBECO) -> Resources:
    """Build the resources of a deployment on this database, with one fake for every upstream."""
    return Resources(
        database=database,
        models=ModelStore(database, rules, find_author),
        model_history=ModelHistory(database),
        audit=AuditLog(database),
        rebalances=RebalanceStore(database, find_author),
        idempotency=IdempotencyStore(database),
        prices=upstreams,
        securities=upstreams,
        holdings=upstreams,
        sources={SUMMARIES: upstreams},
        runs=RunStore(database, find_author),
        chunks=ChunkStore(database),
        orders=OrderStore(database),
        submissions=OrderSubmissionStore(database, find_author=find_author),
        order_service=upstreams,
        portfolios=upstreams,
        open_orders=OpenOrderStore(database),
        api_keys=ApiKeyStore(database, find_author),
        proposals=ProposalStore(database, find_author),
        rules=RuleStore(database, find_author),
        sessions=SessionStore(database, find_author),
        drift_scans=DriftScanStore(database),
        drift_lines=DriftLineStore(database),
        portfolio_claims=PortfolioClaimStore(database, OrderSubmissionStore(database)),
    )


def make_purchase(portfolio_id: str, securities: tuple[PricedTarget, ...]) -> PortfolioOutcome:
    """Build an outcome that buys one share of every security from the cash."""
    return PortfolioOutcome(
        portfolio_id=portfolio_id,
        status=Status.REBALANCED,
        market_value=Decimal("1000.50"),
        cash_before=Decimal("980.00"),
        cash_after=Decimal("969.75"),
        securities=securities,
        before=(2,) * len(securities),
        after=(3,) * len(securities),
        certificate=Certificate(
            Proof.OPTIMAL, Method.SEPARABLE, Decimal("2E-7"), Decimal("0.0000002")
        ),
    )


def make_refusal(code: str, portfolio_id: str = P, **members: Any) -> PortfolioOutcome:
    status = Status.INFEASIBLE if code == "infeasible" else Status.FAILED
    refusal = Refusal(code, "It is no use.", members)
    return PortfolioOutcome(portfolio_id, status, None, None, None, refusal=refusal)


Outcome = Callable[[str, tuple[PricedTarget, ...]], PortfolioOutcome]


@dataclass
class FakeOptimizer:
    """Optimizer that records the result of ``outcome`` for each portfolio, or raises ``error``."""

    stored: Stored
    outcome: Outcome = make_purchase
    error: Exception | None = None
    asked: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)

    async def rebalance_model(self, command: RebalanceModel) -> Outcomes:
        self._note(command.overrides.values)
        if self.error is not None:
            raise self.error
        model = await self.stored.models.read(command.model_id)
        return await self._run(model, model.portfolio_ids)

    async def preview_model(self, model_id: str, overrides: OptionOverrides) -> Outcomes:
        return await self.rebalance_model(RebalanceModel("", model_id, overrides))

    async def try_model(self, model: Model, overrides: OptionOverrides) -> Outcomes:
        self._note(overrides.values)
        return await self._run(model, model.portfolio_ids)

    async def preview_portfolio(
        self, portfolio_id: str, model_id: str | None, overrides: OptionOverrides
    ) -> tuple[Rebalance, PortfolioOutcome]:
        command = RebalancePortfolio("", portfolio_id, model_id, overrides)
        return await self.rebalance_portfolio(command)

    async def rebalance_portfolio(
        self, command: RebalancePortfolio
    ) -> tuple[Rebalance, PortfolioOutcome]:
        self._note(command.overrides.values)
        model = await self.stored.models.find_followed(command.portfolio_id, command.model_id)
        rebalance, (outcome,) = await self._run(model, (command.portfolio_id,))
        return rebalance, outcome

    async def read_completed(self, _: str) -> Outcomes | None:
        return None

    async def optimize(
        self,
        model: Model,
        balances: Sequence[Balance],
        prices: Mapping[str, Decimal],
        options: GivenOptions,
    ) -> tuple[PortfolioOutcome, ...]:
        self._note(options.common.values)
        securities = price_targets(model, {**dict.fromkeys(_ids(model), PRICE), **prices})
        return tuple(self.outcome(balance.portfolio_id, securities) for balance in balances)

    async def optimize_text(self, given: RawRequest) -> RawResponse:
        raise AssertionError(f"{given.path}: nobody is there to read a long body")

    async def optimize_upload(self, given: Upload) -> RawResponse:
        raise AssertionError(f"{given.path}: nobody is there to read tables")

    async def measure_portfolio(
        self, portfolio_id: str, model_id: str | None
    ) -> tuple[Model, PortfolioDrift]:
        model = await self.stored.models.find_followed(portfolio_id, model_id)
        return model, _drift(model, portfolio_id)

    async def measure_portfolios(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[DriftSummary, ...], int]:
        model, total = await self.stored.models.read_followers(model_id, offset, limit)
        ids = model.portfolio_ids if model else ()
        return tuple(_drift(model, portfolio_id).summary for portfolio_id in ids if model), total

    async def begin_drift_scan(self, scan_id: str) -> DriftScan:
        scan = DriftScan(scan_id, datetime.now(UTC))
        return (await self.stored.resources.drift_scans.add(scan, "nobody", 60))[0]

    async def name_securities(self, security_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        return {security_id: TICKERS.get(security_id) for security_id in security_ids}

    async def find_securities(self, ticker: str) -> tuple[str, ...]:
        folded_ticker = ticker.casefold()
        return tuple(
            security_id
            for security_id, known_ticker in TICKERS.items()
            if known_ticker.casefold() == folded_ticker
        )

    def _note(self, options: Mapping[str, Any]) -> None:
        self.asked.append((options, correlation_id.get()))

    async def _run(
        self, model: Model, portfolio_ids: tuple[str, ...]
    ) -> tuple[Rebalance, tuple[PortfolioOutcome, ...]]:
        securities = tuple(
            PricedTarget(target.security_id, PRICE, target.weight, target.band)
            for target in model.targets
        )
        opened = Rebalance(
            rebalance_id=new_rebalance_id(),
            model_id=str(model.model_id),
            model_version=model.version,
            model_name=model.name,
            securities=securities,
            options=NO_OVERRIDES,
            number_of_portfolios=len(portfolio_ids),
            started_at=datetime.now(UTC),
        )
        rebalances = self.stored.rebalances
        rebalance = await rebalances.open(opened)
        outcomes = tuple(self.outcome(portfolio_id, securities) for portfolio_id in portfolio_ids)
        await rebalances.record(rebalance.rebalance_id, range(len(outcomes)), outcomes)
        return (
            await rebalances.finish(
                rebalance.rebalance_id, RebalanceStatus.COMPLETED, datetime.now(UTC)
            ),
            outcomes,
        )


def _drift(model: Model, portfolio_id: str) -> PortfolioDrift:
    prices = dict.fromkeys([*_ids(model), B], PRICE)
    portfolio = Portfolio(portfolio_id, Decimal(1000), {B: Decimal("2.5")}, prices)
    return measure_drift(price_targets(model, prices), portfolio)


def _ids(model: Model) -> list[str]:
    return [target.security_id for target in model.targets]


async def render_no_metrics() -> str:
    return "ordergen_up 1\n"


def make_position(security_id: str = A, target: object = "0.25") -> dict[str, object]:
    return {
        "security_id": security_id,
        "target": target,
        "high_drift": "0.02",
        "low_drift": "0.01",
    }


def make_model_body(name: str = "Growth", **changes: object) -> dict[str, object]:
    return {"name": name, "positions": [make_position()], "portfolios": [P, Q], **changes}
