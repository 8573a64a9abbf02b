"""Resources of one process: the database with its stores, and the clients of the upstreams."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from ssl import SSLContext

from pymongo.asynchronous.database import AsyncDatabase

from optimization import GENERAL, MODEL_RULES
from serve_app.call_context import find_author
from serve_app.observability.observers import Observers
from serve_app.settings import Settings
from serve_app.upstream import order_service as orders
from serve_app.upstream import portfolio_names as portfolios
from serve_app.upstream import prices as pricing
from serve_app.upstream import securities
from serve_app.upstream.circuit_breaker import Breaker
from serve_app.upstream.credentials import (
    ClientCredentials,
    Credentials,
    FixedCredentials,
    TokenEndpoint,
)
from serve_app.upstream.holdings import summaries
from serve_app.upstream.holdings.pages import PagedAccountingService
from serve_app.upstream.holdings.source import HoldingsService
from serve_app.upstream.holdings.summaries import AccountingService
from serve_app.upstream.http_client import Client
from serve_app.upstream.http_exchange import Transport
from serve_app.upstream.http_transports import KeptConnections, single_use_transport
from serve_app.upstream.order_service import OrderService
from serve_app.upstream.portfolio_names import PortfolioService
from serve_app.upstream.prices import PricingService
from serve_app.upstream.retry_policy import Policy
from serve_app.upstream.securities import SecurityService
from serve_app.upstream.tls import make_context
from storage.access.api_key_store import ApiKeyStore
from storage.access.session_store import SessionStore
from storage.audit_log import AuditLog
from storage.drift.line_store import DriftLineStore
from storage.drift.scan_store import DriftScanStore
from storage.idempotency_store import IdempotencyStore
from storage.models.history import ModelHistory
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, connect
from storage.orders.open_order_store import OpenOrderStore
from storage.orders.order_store import OrderStore
from storage.orders.portfolio_claim_store import PortfolioClaimStore
from storage.orders.submission_store import OrderSubmissionStore
from storage.proposals.proposal_store import ProposalStore
from storage.rebalances.rebalance_store import RebalanceStore
from storage.rules.rule_store import RuleStore
from storage.runs.chunk_store import ChunkStore
from storage.runs.run_store import RunStore

SUMMARIES = "summaries"
PAGES = "pages"
FILE = "file"
TOKEN_CONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class Resources:
    """Open connections of one process; bound to its event loop, and impossible to pickle."""

    database: AsyncDatabase[Document]
    models: ModelStore
    model_history: ModelHistory
    audit: AuditLog
    rebalances: RebalanceStore
    idempotency: IdempotencyStore
    prices: PricingService
    securities: SecurityService
    holdings: HoldingsService  # the source that the settings choose
    sources: Mapping[str, HoldingsService]
    runs: RunStore
    chunks: ChunkStore
    orders: OrderStore
    submissions: OrderSubmissionStore
    order_service: OrderService
    open_orders: OpenOrderStore
    portfolio_claims: PortfolioClaimStore
    portfolios: PortfolioService
    api_keys: ApiKeyStore
    proposals: ProposalStore
    rules: RuleStore
    sessions: SessionStore
    drift_scans: DriftScanStore
    drift_lines: DriftLineStore


def open_resources(
    settings: Settings, watch: Observers, timeout_ms: int | None = None
) -> Resources:
    """Open everything for this process and loop; nothing is sent before it is needed."""
    database = _connect(settings, watch, timeout_ms)
    upstreams = _open_upstreams(settings, watch)
    submissions = OrderSubmissionStore(database, find_author=find_author)
    return Resources(
        database,
        ModelStore(database, MODEL_RULES[settings.model_rules], find_author),
        ModelHistory(database),
        AuditLog(database),
        RebalanceStore(database, find_author),
        IdempotencyStore(database),
        upstreams.prices,
        upstreams.securities,
        upstreams.sources[settings.holdings_source],
        upstreams.sources,
        RunStore(database, find_author),
        ChunkStore(database),
        OrderStore(database),
        submissions,
        upstreams.order_service,
        OpenOrderStore(database),
        PortfolioClaimStore(database, submissions),
        upstreams.portfolios,
        ApiKeyStore(database, find_author),
        ProposalStore(database, find_author),
        RuleStore(database, find_author),
        SessionStore(database, find_author),
        DriftScanStore(database),
        DriftLineStore(database),
    )


def _connect(
    settings: Settings, watch: Observers, timeout_ms: int | None
) -> AsyncDatabase[Document]:
    assert settings.mongodb_uri is not None
    return connect(
        settings.mongodb_uri.get_secret_value(),
        settings.database_name,
        timeout_ms or settings.database_timeout_ms,
        settings.database_max_connections,
        watch.database,
    )


@dataclass(frozen=True, slots=True)
class _Upstreams:
    """Clients of the five services."""

    prices: PricingService
    securities: SecurityService
    sources: Mapping[str, HoldingsService]
    order_service: OrderService
    portfolios: PortfolioService


def _open_upstreams(settings: Settings, watch: Observers) -> _Upstreams:
    tls = make_context(settings)
    client = partial(_build_client, settings, watch, tls, _open_credentials(settings, tls))
    pricer = client("pricing", settings.pricing_service_url, pricing.POLICY)
    security = client("security", settings.security_service_url, securities.POLICY)
    balance = client("accounting", settings.portfolio_accounting_service_url, summaries.POLICY)
    single_use = single_use_transport(orders.POLICY.connect_s, tls)
    order = client("order", settings.order_service_url, orders.POLICY, single_use)
    portfolio = client("portfolio", settings.portfolio_service_url, portfolios.POLICY)
    is_general = settings.model_rules == GENERAL.name
    return _Upstreams(
        prices=PricingService(pricer, settings.price_ttl_s),
        securities=SecurityService(security, accept_tickers=is_general),
        sources={SUMMARIES: AccountingService(balance), PAGES: PagedAccountingService(balance)},
        order_service=OrderService(order, settings.order_blotter),
        portfolios=PortfolioService(portfolio, accept_any_id=is_general),
    )


def _open_credentials(settings: Settings, tls: SSLContext) -> Credentials | None:
    if settings.simulated_upstreams:
        return None  # because credentials are secrets of real services
    if (header := settings.upstream_authorization) is not None:
        return FixedCredentials(header.get_secret_value())
    endpoint = build_token_endpoint(settings, tls)
    return None if endpoint is None else ClientCredentials(endpoint)


def build_token_endpoint(settings: Settings, tls: SSLContext) -> TokenEndpoint | None:
    """Make the token endpoint of the settings; None if they have none."""
    if (url := settings.upstream_token_url) is None:
        return None
    assert settings.upstream_client_id is not None
    assert settings.upstream_client_secret is not None
    return TokenEndpoint(
        url,
        settings.upstream_client_id,
        settings.upstream_client_secret.get_secret_value(),
        settings.upstream_scope,
        single_use_transport(TOKEN_CONNECT_S, tls),
        settings.external_service_timeout,
    )


def _build_client(
    settings: Settings,
    watch: Observers,
    tls: SSLContext,
    credentials: Credentials | None,
    upstream: str,
    url: str | None,
    policy: Policy,
    transport: Transport | None = None,
) -> Client:
    """Build a client with the service's own policy, within the limits of the settings."""
    assert url is not None
    megabytes = settings.max_upstream_answer_mb
    if upstream == "pricing":
        megabytes = settings.max_prices_answer_mb
    policy = replace(
        policy,
        total_s=min(policy.total_s, settings.external_service_timeout),
        tries=max(1, settings.external_service_retries),
        breaker_threshold=settings.circuit_breaker_threshold,
        breaker_pause_s=settings.circuit_breaker_timeout,
        max_answer_bytes=megabytes * 1_000_000,
    )
    transport = transport or KeptConnections(policy.concurrency + 1, policy.connect_s, tls)
    threshold, pause_s = policy.breaker_threshold, policy.breaker_pause_s
    breaker = Breaker(upstream, threshold, pause_s, on_open=watch.circuit)
    return Client(upstream, url, policy, transport, watch.upstream, breaker, credentials)
