"""Port of direct rebalances: of stored models, answered with their outcomes."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol, TypeAlias

from optimization import NO_OVERRIDES, BlockOutcome, Model, OptionOverrides, PortfolioOutcome
from serve_app.ports.optimize import RemoteText
from serve_app.ports.port import repeatable
from storage.idempotency_store import IdempotencyClaim
from storage.rebalances.rebalance import Rebalance

Outcomes = tuple[Rebalance, tuple[PortfolioOutcome, ...]]


@dataclass(frozen=True, slots=True)
class WrittenOutcomes:
    """Outcomes as elements of a JSON array, without brackets."""

    text: bytes
    are_refused: bool  # none of them has a plan


class WriteOutcomes(Protocol):
    """Function that writes some outcomes of a rebalance; it can be pickled."""

    async def __call__(
        self,
        rebalance: Rebalance,
        outcomes: BlockOutcome | Sequence[PortfolioOutcome],
        zone: tzinfo,
        *,
        is_stored: bool,
    ) -> WrittenOutcomes:
        """Write outcomes, dated in this time zone, with the id of the rebalance if it is stored."""
        ...


@dataclass(frozen=True, slots=True)
class OutcomeElements:
    """Outcomes as elements of a JSON array, in parts without brackets, in their order."""

    parts: Sequence[memoryview]


@dataclass(frozen=True, slots=True)
class RemoteElements:
    """OutcomeElements in the memory of the cluster."""

    texts: Sequence[RemoteText]

    async def read(self) -> OutcomeElements:
        """Read all parts; raise ReplicaLostError if one is lost."""
        return OutcomeElements([await text.read() for text in self.texts])


Rebalanced: TypeAlias = Outcomes | tuple[Rebalance, RemoteElements]
"""A rebalance with its outcomes, or with what the workers that solved them wrote of them."""


@dataclass(frozen=True, slots=True)
class RebalanceModel:
    """Command: rebalance every portfolio that follows a model, under this id.

    The stored rebalance settles the claim; nothing is stored if the claim was lost meanwhile.
    """

    rebalance_id: str
    model_id: str
    overrides: OptionOverrides = NO_OVERRIDES
    claim: IdempotencyClaim | None = None


@dataclass(frozen=True, slots=True)
class RebalancePortfolio:
    """Command: rebalance one portfolio to a model, or to the newest model that it follows."""

    rebalance_id: str
    portfolio_id: str
    model_id: str | None = None
    overrides: OptionOverrides = NO_OVERRIDES
    claim: IdempotencyClaim | None = None


class Rebalancing(Protocol):
    """Rebalances of stored models; not repeatable, so ``exactly_once`` recovers a lost call."""

    @abstractmethod
    async def rebalance_model(self, command: RebalanceModel) -> Rebalanced:
        """Rebalance the portfolios of a model, and store and return their outcomes."""
        ...

    @abstractmethod
    async def rebalance_portfolio(
        self, command: RebalancePortfolio
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Rebalance one portfolio, and store and return its outcome."""
        ...

    @repeatable
    @abstractmethod
    async def preview_model(self, model_id: str, overrides: OptionOverrides) -> Rebalanced:
        """Return the outcomes of ``rebalance_model`` without storing them."""
        ...

    @repeatable
    @abstractmethod
    async def try_model(self, model: Model, overrides: OptionOverrides) -> Outcomes:
        """Rebalance the portfolios of a model that need not be stored, and store nothing."""
        ...

    @repeatable
    @abstractmethod
    async def preview_portfolio(
        self, portfolio_id: str, model_id: str | None, overrides: OptionOverrides
    ) -> tuple[Rebalance, PortfolioOutcome]:
        """Return the outcome of ``rebalance_portfolio`` without storing it."""
        ...

    @repeatable
    @abstractmethod
    async def read_completed(self, rebalance_id: str) -> Outcomes | None:
        """Wait for a rebalance under way, and return its outcomes; None if it left nothing."""
        ...
