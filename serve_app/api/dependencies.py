"""What the routes call. The handles of the deployments implement it; tests bring five-line fakes.

Domain objects are the payload. Errors arrive as themselves: storage.errors, optimization.errors,
serve_app.upstream.errors; serve_app.problems.catalogue turns each into an answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from optimization.domain.model import Model, Target
from optimization.domain.outcome import PortfolioOutcome
from optimization.drift import DriftSummary, PortfolioDrift
from serve_app.editing import Versions
from serve_app.ports.optimize import GivenOptions, RawRequest, RawResponse
from serve_app.settings import Settings
from serve_app.upstream.holdings.source import Balance
from serve_app.upstream.http_client import UpstreamHealth
from storage.chunk_store import Event
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.sorting import Sort
from storage.options import OwnOverrides
from storage.order import OpenOrdersRule, OrderState
from storage.rebalance import Rebalance
from storage.run import HoldingsRef, Run, Selection
from storage.submission_store import OrderSubmission


class ModelStore(Protocol):
    """Models, runs and idempotency keys, as they are stored."""

    async def add(self, model: Model, claim: IdempotencyClaim | None = None) -> Model:
        """Store a new model and complete the claim with it; the answer has its id."""
        ...

    async def read(self, model_id: str) -> Model: ...

    async def page(self, offset: int, limit: int, sort: Sort) -> tuple[tuple[Model, ...], int]:
        """One page and the number of all models."""
        ...

    async def replace(self, model: Model) -> Model:
        """Compare-and-set: ``model.version`` is the version it replaces."""
        ...

    async def delete(self, model_id: str, version: int) -> None: ...

    async def add_target(
        self, model_id: str, target: Target, versions: Versions = None
    ) -> Model: ...

    async def replace_target(
        self, model_id: str, target: Target, versions: Versions = None
    ) -> Model:
        """A weight of 0 removes the target."""
        ...

    async def remove_target(
        self, model_id: str, target: Target, versions: Versions = None
    ) -> Model:
        """Refused unless every value of the target is the stored one."""
        ...

    async def add_portfolios(
        self, model_id: str, portfolio_ids: tuple[str, ...], versions: Versions = None
    ) -> Model: ...

    async def remove_portfolios(
        self, model_id: str, portfolio_ids: tuple[str, ...], versions: Versions = None
    ) -> Model: ...

    async def runs(self, offset: int, limit: int, sort: Sort) -> tuple[tuple[Rebalance, ...], int]:
        """One page and the number of all runs."""
        ...

    async def runs_of(
        self, portfolio_ids: tuple[str, ...], offset: int, limit: int
    ) -> tuple[tuple[tuple[Rebalance, int], ...], int]:
        """Runs that hold any of these portfolios, newest first, with how many of them each holds.

        Also the number of all such runs.
        """
        ...

    async def outcomes_among(
        self, run: Rebalance, portfolio_ids: tuple[str, ...], offset: int, limit: int
    ) -> tuple[PortfolioOutcome, ...]:
        """A page of the outcomes of those of these portfolios that the run holds."""
        ...

    async def run(self, rebalance_id: str) -> Rebalance: ...

    async def outcomes(
        self, run: Rebalance, offset: int = 0, limit: int | None = None
    ) -> tuple[PortfolioOutcome, ...]: ...

    async def outcomes_of(
        self, run: Rebalance, portfolio_ids: tuple[str, ...]
    ) -> tuple[PortfolioOutcome, ...]:
        """Those of some portfolios, in their order in the run."""
        ...

    async def outcome(
        self, rebalance_id: str, portfolio_id: str
    ) -> tuple[Rebalance, PortfolioOutcome]: ...

    async def delete_run(self, rebalance_id: str, version: int) -> None:
        """Refused once an order of the run was sent."""
        ...

    async def hand_over(
        self, rebalance_id: str, rule: OpenOrdersRule, most_listed: int, correlated: str
    ) -> OrderSubmission:
        """Send the orders of a run that the order service does not have yet; where they stand then."""
        ...

    async def handed_over(
        self, rebalance_id: str, offset: int, limit: int, states: tuple[OrderState, ...] = ()
    ) -> OrderSubmission:
        """Where the orders of a run stand, with a page of all of them or of those in some states."""
        ...

    async def portfolio_names(self, portfolio_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        """Names by id, in their order; None where the portfolio service has none or does not answer."""
        ...

    async def book_run(self, run_id: str) -> Run:
        """The run over a book with this id."""
        ...

    async def book_runs(self, offset: int, limit: int) -> tuple[tuple[Run, ...], int]:
        """One page, the newest first, and the number of all."""
        ...

    async def cancel_book_run(self, run_id: str) -> Run: ...

    async def run_parts(self, run_id: str, after: str | None, limit: int) -> tuple[Rebalance, ...]:
        """The rebalances of a run over a book, in the order of their ids, after this one."""
        ...

    async def run_part_ids(self, run_id: str, limit: int) -> tuple[str, ...]:
        """The ids of the first of these rebalances."""
        ...

    async def run_events(self, run_id: str, after: int, limit: int) -> tuple[Event, ...]:
        """What was done of a run since the event of this number."""
        ...

    async def run_errors(self, run_id: str, limit: int) -> tuple[Event, ...]:
        """The first chunks of a run that were given up."""
        ...

    async def claim(self, key: str, request_hash: str, owner: str) -> str | None:
        """Claim an idempotency key: None when the work is ours to do, else what it made before.

        Raises where the key belongs to another request or the first one is still at work.
        """
        ...

    async def complete(self, key: str, owner: str, reference: str) -> None:
        """Keep what the work under this key made: a model id or a rebalance id.

        Nothing happens where another has taken the claim over.
        """
        ...

    async def release(self, key: str, owner: str) -> None:
        """Give the key back after a failure, so that a retry does the work; likewise.

        The key of work that goes on without its caller stays: it is settled where the work ends.
        """
        ...

    async def ping(self) -> None:
        """Return if the database answers."""
        ...

    async def upstream_health(self, upstream: str) -> UpstreamHealth:
        """Ask "order" or "portfolio" whether it is well; the circuit is that of one replica."""
        ...


class Optimizer(Protocol):
    """Rebalances portfolios and records what became of them."""

    async def rebalance_model(
        self,
        model_id: str,
        options: Mapping[str, Any] | None,
        correlation_id: str,
        claim: IdempotencyClaim | None = None,
    ) -> tuple[Rebalance, tuple[PortfolioOutcome, ...]]:
        """``options`` are fields of RebalanceOptions by name, in place of those that the model has.

        What is stored settles the claim, or is not stored if the claim was lost meanwhile.
        """
        ...

    async def rebalance_portfolio(
        self,
        portfolio_id: str,
        model_id: str | None,
        options: Mapping[str, Any] | None,
        correlation_id: str,
        claim: IdempotencyClaim | None = None,
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Without a ``model_id`` the newest model that the portfolio follows is taken."""
        ...

    async def preview_model(
        self, model_id: str, options: Mapping[str, Any] | None, correlation_id: str
    ) -> tuple[Rebalance, tuple[PortfolioOutcome, ...]]:
        """What ``rebalance_model`` would answer. Nothing is stored: the id of the run leads nowhere."""
        ...

    async def preview_portfolio(
        self,
        portfolio_id: str,
        model_id: str | None,
        options: Mapping[str, Any] | None,
        correlation_id: str,
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """What ``rebalance_portfolio`` would answer, with nothing stored."""
        ...

    async def optimize(
        self,
        model: Model,
        balances: Sequence[Balance],
        prices: Mapping[str, Decimal],
        options: GivenOptions,
        correlation_id: str,
    ) -> tuple[PortfolioOutcome, ...]:
        """What becomes of portfolios that are given whole; asks neither database nor upstream."""
        ...

    async def optimize_text(self, given: RawRequest, correlation_id: str) -> RawResponse:
        """``optimize`` from the text of the request to that of its answer, in another process."""
        ...

    async def portfolio_drift(
        self, portfolio_id: str, model_id: str | None, correlation_id: str
    ) -> tuple[Model, PortfolioDrift]:
        """Where a portfolio stands against the named model, or the newest that it follows."""
        ...

    async def model_drift(
        self, model_id: str, offset: int, limit: int, correlation_id: str
    ) -> tuple[tuple[DriftSummary, ...], int]:
        """One page of the portfolios that follow a model, and how many there are."""
        ...

    async def begin_run(
        self,
        selection: Selection,
        options: Mapping[str, Any] | None,
        own: OwnOverrides,
        holdings: HoldingsRef | None,
        correlation_id: str,
        claim: IdempotencyClaim | None = None,
    ) -> Run:
        """Begin a run over a book; it goes on by itself. Without ``holdings`` a setting says whose."""
        ...

    async def upstream_health(self, upstream: str) -> UpstreamHealth:
        """Ask "accounting", "pricing" or "security" whether it is well; likewise."""
        ...

    async def announce(self, run_id: str) -> None:
        """Let the replica that works on a run look at once where it stands in the database."""
        ...


Check = Callable[[], Awaitable[None]]
UpstreamCheck = Callable[[], Awaitable[UpstreamHealth]]


@dataclass(frozen=True, slots=True)
class Collaborators:
    """Everything the application needs from outside.

    ``checks`` and ``upstreams`` are what readiness asks, by the name of the part: a check that raises
    or does not answer in time names its part as failing. ``metrics`` gives Prometheus text.
    """

    store: ModelStore
    optimizer: Optimizer
    checks: Mapping[str, Check]
    metrics: Callable[[], Awaitable[str]]
    upstreams: Mapping[str, UpstreamCheck] = field(default_factory=dict[str, UpstreamCheck])


def _collaborators(request: Request) -> Collaborators:
    return request.app.state.collaborators


def _store(request: Request) -> ModelStore:
    return _collaborators(request).store


def optimizer_of(request: Request) -> Optimizer:
    """What rebalances for this application."""
    return _collaborators(request).optimizer


def settings_of(request: Request) -> Settings:
    """The settings of this application."""
    return request.app.state.settings


Parts = Annotated[Collaborators, Depends(_collaborators)]
Store = Annotated[ModelStore, Depends(_store)]
Rebalancer = Annotated[Optimizer, Depends(optimizer_of)]
Configured = Annotated[Settings, Depends(settings_of)]
