"""StoreDeployment: the deployment in front of the database, thin over storage. Never loads CVXPY.

Orders are submitted here, too, because a submission reads the database and waits for another
service, and in this process it does not compete with a solver.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import final

import stamina

from optimization import (
    Model,
    Target,
    with_portfolios,
    with_replaced_target,
    with_target,
    without_portfolios,
    without_target,
)
from serve_app.approvals.process import ApprovalProcess
from serve_app.call_context import find_author
from serve_app.deployments.approval_calls import ApprovalCalls
from serve_app.deployments.drift_scan_calls import DriftScanCalls
from serve_app.deployments.handles import serves
from serve_app.deployments.outcome_calls import OutcomeCalls
from serve_app.deployments.portfolio_calls import PortfolioCalls
from serve_app.deployments.store_parts import StoreParts
from serve_app.observability.events import log_event
from serve_app.ports.store import Store
from serve_app.settings import Settings
from serve_app.upstream.http_client import UpstreamHealth
from storage.access.api_key_store import ApiKey
from storage.access.session_store import Session
from storage.audit.chain import Entry
from storage.audit.trail import Action, AuditTrail
from storage.audit_log import AuditFilter, AuditHead
from storage.errors import StaleVersionError
from storage.idempotency_store import IdempotencyClaim
from storage.models.history import ModelVersion
from storage.models.model_store import Versions, require_version
from storage.mongo.connection import ping
from storage.mongo.sorting import Sort
from storage.orders.order import OpenOrdersRule, Order, OrderState
from storage.orders.submission_store import OrderSubmission
from storage.rebalances.rebalance import Rebalance
from storage.runs.chunk_store import Event
from storage.runs.run import Run, RunStatus

EDIT_TRIES = 8


@final  # so that the type checker reports a method of the port that it lacks
@serves(Store)
class StoreDeployment(ApprovalCalls, DriftScanCalls, OutcomeCalls, PortfolioCalls, Store):
    """Models, stored rebalances, runs, drift scans, orders, idempotency and API keys, sessions.

    Called ModelStore in the configuration and the metrics of Serve.
    """

    def __init__(self, settings: Settings, open_parts: Callable[[Settings], StoreParts]) -> None:
        parts = open_parts(settings)  # here, because Serve makes a replica inside its event loop
        self._parts = parts
        self._resources = parts.resources
        self._submitter = parts.submitter
        self._approvals = ApprovalProcess(settings, parts.resources)

    async def add_model(self, model: Model, claim: IdempotencyClaim | None = None) -> Model:
        """Store a new model, and complete the claim with it."""
        return _log_model(Action.MODEL_CREATED, await self._resources.models.add(model, claim))

    async def read_model(self, model_id: str) -> Model:
        """Read the model with this id."""
        return await self._resources.models.read(model_id)

    async def list_models(
        self,
        offset: int,
        limit: int,
        sort: Sort,
        model_ids: frozenset[str] | None = None,
        name: str = "",
    ) -> tuple[tuple[Model, ...], int]:
        """Return one page of models and the number of all."""
        return await self._resources.models.read_page(offset, limit, sort, model_ids, name)

    async def list_model_versions(
        self, model_id: str, offset: int, limit: int
    ) -> tuple[tuple[ModelVersion, ...], int]:
        """Return one page of the versions of a model, and the number of all."""
        return await self._resources.model_history.read_page(model_id, offset, limit)

    async def read_model_version(self, model_id: str, version: int) -> ModelVersion:
        """Read one version of a model."""
        return await self._resources.model_history.read(model_id, version)

    async def replace_model(self, model: Model) -> Model:
        """Replace the model of this version."""
        return _log_model(Action.MODEL_EDITED, await self._resources.models.replace(model))

    async def delete_model(self, model_id: str, version: int) -> None:
        """Delete the model of this version."""
        await self._resources.models.delete(model_id, version)
        log_event(Action.MODEL_DELETED, model_id, version=version)

    async def add_target(self, model_id: str, target: Target, versions: Versions = None) -> Model:
        """Add a target to the stored model."""
        change = partial(with_target, target=target)
        return await self._edit(model_id, change, versions)

    async def replace_target(
        self, model_id: str, target: Target, versions: Versions = None
    ) -> Model:
        """Replace a target of the stored model; a weight of 0 removes it."""
        change = partial(with_replaced_target, target=target)
        return await self._edit(model_id, change, versions)

    async def remove_target(
        self, model_id: str, target: Target, versions: Versions = None
    ) -> Model:
        """Remove a target of the stored model if it has these values."""
        change = partial(without_target, target=target)
        return await self._edit(model_id, change, versions)

    async def add_portfolios(
        self, model_id: str, portfolio_ids: tuple[str, ...], versions: Versions = None
    ) -> Model:
        """Let more portfolios follow the stored model."""
        change = partial(with_portfolios, portfolio_ids=portfolio_ids)
        return await self._edit(model_id, change, versions)

    async def remove_portfolios(
        self, model_id: str, portfolio_ids: tuple[str, ...], versions: Versions = None
    ) -> Model:
        """Let fewer portfolios follow the stored model."""
        change = partial(without_portfolios, portfolio_ids=portfolio_ids)
        return await self._edit(model_id, change, versions)

    async def _edit(
        self, model_id: str, change: Callable[[Model], Model], versions: Versions
    ) -> Model:
        """Read, change and compare-and-set; start over if another caller was faster."""
        async for attempt in stamina.retry_context(
            StaleVersionError, attempts=EDIT_TRIES, timeout=None, wait_max=0
        ):
            before = await self._resources.models.read(model_id)
            # The check is outside the attempt, because a version that fails it fails every time.
            require_version(before, versions)
            after = change(before)
            if after == before:
                return before
            with attempt:
                return await self.replace_model(after)
        raise AssertionError

    async def list_rebalances(
        self, offset: int, limit: int, sort: Sort
    ) -> tuple[tuple[Rebalance, ...], int]:
        """Return one page of rebalances and the number of all."""
        return await self._resources.rebalances.read_page(offset, limit, sort)

    async def list_portfolio_rebalances(
        self, portfolio_ids: tuple[str, ...], offset: int, limit: int
    ) -> tuple[tuple[tuple[Rebalance, int], ...], int]:
        """Return one page of the rebalances of these portfolios, and the number in each."""
        return await self._resources.rebalances.read_page_of_portfolios(
            portfolio_ids, offset, limit
        )

    async def read_rebalance(self, rebalance_id: str) -> Rebalance:
        """Read the rebalance with this id."""
        return await self._resources.rebalances.read(rebalance_id)

    async def delete_rebalance(self, rebalance_id: str, version: int) -> None:
        """Delete a rebalance of this version with its outcomes, unless an order of it was sent."""
        await self._submitter.delete(rebalance_id, version)
        log_event(Action.REBALANCE_DELETED, rebalance_id)

    async def submit_orders(
        self, rebalance_id: str, open_orders: OpenOrdersRule, limit: int
    ) -> OrderSubmission:
        """Send the orders of a rebalance that the order service lacks, and that are approved."""
        # The check precedes the lease of the hand-over, because a large proposal takes minutes.
        proposal = await self._approvals.require_approved(rebalance_id)
        before = partial(self._approvals.begin_orders, rebalance_id, proposal)
        await self._submitter.submit(rebalance_id, open_orders, before)
        return await self._submitter.read_page(rebalance_id, 0, limit)

    async def list_orders(
        self, states: tuple[OrderState, ...], since: datetime | None, offset: int, limit: int
    ) -> tuple[tuple[Order, ...], int]:
        """Return one page of the orders in these states, and the number of all such orders."""
        return await self._resources.orders.read_latest(states, since, offset, limit)

    async def read_submission(
        self, rebalance_id: str, offset: int, limit: int, states: tuple[OrderState, ...] = ()
    ) -> OrderSubmission:
        """Return the states of the orders of a rebalance, and one page of the orders."""
        return await self._submitter.read_page(rebalance_id, offset, limit, states)

    async def read_run(self, run_id: str) -> Run:
        """Read the run with this id."""
        return await self._resources.runs.read(run_id)

    async def read_whole_run(self, run_id: str) -> Run:
        """Read the run with this id, with its portfolios and their options."""
        return await self._resources.runs.read_whole(run_id)

    async def list_runs(
        self,
        offset: int,
        limit: int,
        statuses: frozenset[RunStatus] = frozenset(),
        since: datetime | None = None,
    ) -> tuple[tuple[Run, ...], int]:
        """Return one page of runs and the number of all."""
        return await self._resources.runs.read_page(offset, limit, statuses, since)

    async def cancel_run(self, run_id: str) -> Run:
        """Record that a run starts no more work."""
        run = await self._resources.runs.cancel(run_id)
        log_event(Action.RUN_CANCELLED, run_id, status=run.status.value)
        return run

    async def list_run_rebalances(
        self, run_id: str, after: str | None, limit: int
    ) -> tuple[Rebalance, ...]:
        """Return one page of the rebalances of a run."""
        return await self._resources.rebalances.list_parts(run_id, after, limit)

    async def list_run_rebalance_ids(self, run_id: str, limit: int) -> tuple[str, ...]:
        """Return the ids of the first rebalances of a run."""
        return await self._resources.rebalances.list_part_ids(run_id, limit)

    async def list_run_events(self, run_id: str, after: int, limit: int) -> tuple[Event, ...]:
        """Return the events of a run after the event of this number."""
        return await self._resources.chunks.list_events(run_id, after, limit)

    async def list_run_errors(self, run_id: str, limit: int) -> tuple[Event, ...]:
        """Return the first chunks of a run that were given up."""
        return await self._resources.chunks.list_errors(run_id, limit)

    async def list_audit_entries(
        self, audit_filter: AuditFilter, offset: int, limit: int, direction: int
    ) -> tuple[tuple[Entry, ...], int]:
        """Return one page of the entries of the audit log, and the number of all."""
        await self._resources.audit.seal()
        return await self._resources.audit.read_page(audit_filter, offset, limit, direction)

    async def list_audit_entries_beyond(
        self, audit_filter: AuditFilter, seq: int | None, limit: int, direction: int
    ) -> tuple[Entry, ...]:
        """Return the next entries of the audit log beyond a place."""
        if seq is None:
            await self._resources.audit.seal()
        return await self._resources.audit.list_beyond(audit_filter, seq, limit, direction)

    async def record_refusal(self, action: Action, operation: str, path: str, reason: str) -> None:
        """Record a refusal."""
        trail = AuditTrail(self._resources.database, find_author)
        facts = {"operation": operation, "reason": reason}
        refusal = trail.record(action, path, diff=facts, outcome="REFUSED")
        await trail.add(refusal)

    async def read_audit_head(self) -> AuditHead:
        """Return the last entry of the audit log, and the last that was removed."""
        await self._resources.audit.seal()
        return await self._resources.audit.read_head()

    async def claim_key(self, key: str, request_hash: str, owner: str) -> str | None:
        """Claim an idempotency key."""
        return await self._resources.idempotency.claim(key, request_hash, owner)

    async def complete_key(self, key: str, owner: str, reference: str) -> None:
        """Store the id of the result as the reference of a key."""
        await self._resources.idempotency.complete(key, owner, reference)

    async def release_key(self, key: str, owner: str) -> None:
        """Release a key after a failure."""
        await self._resources.idempotency.release(key, owner)

    async def add_api_key(self, key: ApiKey) -> None:
        """Store a new API key."""
        await self._resources.api_keys.add(key)
        log_event(Action.KEY_CREATED, key.key_id, owner=key.owner)

    async def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the API key with this id; None if there is none."""
        return await self._resources.api_keys.find(key_id)

    async def list_api_keys(self, offset: int, limit: int) -> tuple[tuple[ApiKey, ...], int]:
        """Return one page of API keys and the number of all."""
        return await self._resources.api_keys.read_page(offset, limit)

    async def rotate_api_key(
        self, key_id: str, secret_hash: bytes, former_expires_at: datetime
    ) -> ApiKey:
        """Give an API key another secret."""
        key = await self._resources.api_keys.rotate(key_id, secret_hash, former_expires_at)
        log_event(Action.KEY_ROTATED, key_id, owner=key.owner)
        return key

    async def revoke_api_key(self, key_id: str) -> ApiKey:
        """End an API key for good."""
        key = await self._resources.api_keys.revoke(key_id)
        log_event(Action.KEY_REVOKED, key_id, owner=key.owner)
        return key

    async def note_api_key_use(self, key_id: str, at: datetime) -> None:
        """Store when an API key was used."""
        await self._resources.api_keys.note_use(key_id, at)

    async def put_session(self, session: Session) -> None:
        """Store a session of a browser."""
        await self._resources.sessions.put(session)
        log_event(Action.SIGNED_IN, None, owner=session.name)

    async def find_session(self, session_id: str) -> Session | None:
        """Return the session with this id; None if there is none, or if it expired."""
        return await self._resources.sessions.find(session_id)

    async def remove_session(self, session_id: str) -> None:
        """End a session."""
        await self._resources.sessions.remove(session_id)

    async def check_upstream(self, upstream: str) -> UpstreamHealth:
        """Ask the order or the portfolio service for its health."""
        checked = {"order": self._resources.order_service, "portfolio": self._resources.portfolios}
        return await checked[upstream].check_health()

    async def answer(self) -> None:
        """Return at once."""

    async def ping(self) -> None:
        """Raise StorageUnavailableError unless the database responds."""
        await ping(self._resources.database)


def _log_model(action: Action, model: Model) -> Model:
    log_event(action, model.model_id, version=model.version)
    return model
