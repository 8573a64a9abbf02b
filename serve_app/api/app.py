"""The HTTP application: routes, middleware and error handlers around its ports."""

from functools import partial
from importlib.metadata import version
from operator import attrgetter

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Lifespan

from optimization import GLOBECO, MODEL_RULES
from serve_app.api.dependencies import Ports, require_known_parameters
from serve_app.api.event_stream import Streams
from serve_app.api.identity import Identity, build_identity
from serve_app.api.middleware.authentication import Authentication, open_paths
from serve_app.api.middleware.model_rules import UnderRules
from serve_app.api.middleware.origins import Origins
from serve_app.api.middleware.requests import Bounds, Deadlines, RequestBodies
from serve_app.api.middleware.responses import (
    Compression,
    ErrorResponses,
    RequestHeaders,
    RequestMeasurement,
    RequestWatch,
)
from serve_app.api.openapi.document import build_document
from serve_app.api.openapi.explorer import add_explorer
from serve_app.api.problem_responses import answer_http, answer_invalid
from serve_app.api.response_headers import EXPOSED
from serve_app.api.routes import (
    audit,
    drift,
    drift_scans,
    health,
    keys,
    model_versions,
    models,
    names,
    optimize,
    orders,
    outcomes,
    problem_pages,
    proposals,
    rebalances,
    rules,
    runs,
    sessions,
    stored_rebalances,
    trades,
    transactions,
    what_if,
)
from serve_app.auth.principals import UNKNOWN_CALLER, UNRESTRICTED
from serve_app.auth.rate_limits import RateLimiter
from serve_app.auth.refusals import RefusalRecorder
from serve_app.settings import Settings
from serve_app.web import add_console


def api_app(
    settings: Settings,
    ports: Ports,
    *,
    server_answers_request_id: bool = False,
    watch: RequestWatch | None = None,
    lifespan: Lifespan[FastAPI] | None = None,
) -> FastAPI:
    """Make the application; ``watch`` counts its requests, which wait for ``lifespan`` to begin."""
    app = FastAPI(
        title="Order Generation Service",
        version=version("order-generation-service"),
        redirect_slashes=False,
        lifespan=lifespan,
        dependencies=[Depends(require_known_parameters)],
        generate_unique_id_function=attrgetter("name"),
        openapi_url=None,  # because the framework's route would take every query
        docs_url=None,  # because FastAPI's pages load scripts from another server
        redoc_url=None,
    )
    identity = build_identity(settings, ports)
    app.state.settings = settings
    app.state.ports = ports
    app.state.default_caller = UNKNOWN_CALLER if settings.authenticates else UNRESTRICTED
    app.state.identity = identity
    app.state.streams = Streams(settings.event_streams)
    _add_routes(app, settings, identity)
    app.openapi = partial(build_document, app, MODEL_RULES[settings.model_rules])
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    if settings.authenticates:
        # Authentication is innermost, because its refusals need the headers of all other layers.
        _add_authentication(app, settings, ports, identity)
    _add_middleware(app, settings, watch, server_answers_request_id=server_answers_request_id)
    return app


def _add_routes(app: FastAPI, settings: Settings, identity: Identity) -> None:
    about_models = (models, model_versions, what_if)
    about_books = (rebalances, optimize, drift, drift_scans, runs)
    about_rebalances = (stored_rebalances, outcomes, transactions, trades, proposals, rules, orders)
    others = (names, audit, health, problem_pages, sessions)
    for part in (*about_models, *about_books, *about_rebalances, *others):
        app.include_router(part.router)
    if settings.accepts_keys:  # otherwise everybody could make a key for later
        app.include_router(keys.router)
    if identity.sign_in is not None:
        sessions.add_sign_in(app, identity.sign_in, settings.session_hours)
    add_explorer(app)
    add_console(app)


def _add_authentication(app: FastAPI, settings: Settings, ports: Ports, identity: Identity) -> None:
    per_minute = settings.rate_limit_per_minute
    app.add_middleware(
        Authentication,
        identity=identity,
        open_paths=open_paths(settings),
        refusals=RefusalRecorder(ports.store),
        rate_limiter=RateLimiter(per_minute) if per_minute else None,
    )


def _add_middleware(
    app: FastAPI,
    settings: Settings,
    watch: RequestWatch | None,
    *,
    server_answers_request_id: bool,
) -> None:
    # The order is from the inside out, because refusals of inner layers need the outer headers.
    if settings.model_rules != GLOBECO.name:
        app.add_middleware(UnderRules, rules=MODEL_RULES[settings.model_rules])
    app.add_middleware(Deadlines)
    app.add_middleware(Origins, hosts=settings.host_names, origins=settings.cors_origins)
    app.add_middleware(ErrorResponses)
    app.add_middleware(RequestBodies, bounds=Bounds.read(settings))
    app.add_middleware(Compression)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )
    if watch is not None:
        app.add_middleware(RequestMeasurement, watch=watch)
    app.add_middleware(RequestHeaders, server_answers_request_id=server_answers_request_id)
