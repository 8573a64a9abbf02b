"""Port of the stored investment models."""

from abc import abstractmethod
from typing import Protocol

from optimization import Model, Target
from serve_app.ports.port import repeatable
from storage.idempotency_store import IdempotencyClaim
from storage.models.history import ModelVersion
from storage.models.model_store import Versions
from storage.mongo.sorting import Sort


class StoredModels(Protocol):
    """Investment models; ``versions`` are the model versions that a change is meant for."""

    @abstractmethod
    async def add_model(self, model: Model, claim: IdempotencyClaim | None = None) -> Model:
        """Store a new model, complete the claim with it, and return it with its id."""
        ...

    @repeatable
    @abstractmethod
    async def read_model(self, model_id: str) -> Model:
        """Return the model; raise NotFoundError if it is not stored."""
        ...

    @repeatable
    @abstractmethod
    async def list_models(
        self,
        offset: int,
        limit: int,
        sort: Sort,
        model_ids: frozenset[str] | None = None,
        name: str = "",
    ) -> tuple[tuple[Model, ...], int]:
        """Return one page and the number of all models, or of those with these ids.

        With ``name`` only models count whose name has that text, in any case.
        """
        ...

    @repeatable
    @abstractmethod
    async def list_model_versions(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[ModelVersion, ...], int]:
        """Return one page of the versions of a model, the newest first, and their number."""
        ...

    @repeatable
    @abstractmethod
    async def read_model_version(self, model_id: str, version: int) -> ModelVersion:
        """Return a version with its whole model; raise NotFoundError if it is not stored."""
        ...

    @abstractmethod
    async def replace_model(self, model: Model) -> Model:
        """Replace the model by compare-and-set; ``model.version`` is the version to replace."""
        ...

    @abstractmethod
    async def delete_model(self, model_id: str, version: int) -> None:
        """Delete the model of this version."""
        ...

    @abstractmethod
    async def add_target(self, model_id: str, target: Target, versions: Versions = None) -> Model:
        """Add the target of a security that has none."""
        ...

    @abstractmethod
    async def replace_target(
        self, model_id: str, target: Target, versions: Versions = None
    ) -> Model:
        """Replace the target of a security; a weight of 0 removes it."""
        ...

    @abstractmethod
    async def remove_target(
        self, model_id: str, target: Target, versions: Versions = None
    ) -> Model:
        """Remove a target; raise TargetDiffersError unless every value is the stored one."""
        ...

    @abstractmethod
    async def add_portfolios(
        self, model_id: str, portfolio_ids: tuple[str, ...], versions: Versions = None
    ) -> Model:
        """Let more portfolios follow the model."""
        ...

    @abstractmethod
    async def remove_portfolios(
        self, model_id: str, portfolio_ids: tuple[str, ...], versions: Versions = None
    ) -> Model:
        """Let fewer portfolios follow the model."""
        ...
