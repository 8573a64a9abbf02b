"""Which error becomes which problem: one table, for whole answers and for single portfolios alike."""

from collections.abc import Mapping, Sequence

from optimization.domain.outcome import Refusal
from optimization.errors import (
    UNMATCHED_RULE,
    CertificationError,
    EmptyModelError,
    NoSolutionInTimeError,
    OptionsConflictError,
    PricesMissingError,
    RuleError,
    UnmatchedIdsError,
    shown,
)
from serve_app.editing import TargetDiffersError, TargetExistsError, TargetUnknownError
from serve_app.json_text import Json
from serve_app.problems import catalogue
from serve_app.problems.catalogue import KINDS, Kind, problem
from serve_app.problems.errors import (
    BodyCodingError,
    DeadlineExceededError,
    NotAcceptableError,
    NotReadyError,
    PortfolioDataError,
    PreconditionFailedError,
    PreconditionRequiredError,
    TooManyRowsError,
    TooManyStreamsError,
    UnsupportedMediaTypeError,
)
from serve_app.upstream.errors import (
    HoldingsFileError,
    HoldingsMissingError,
    OrdersPartlyFilledError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from storage.errors import (
    HandOverInProgressError,
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    NameTakenError,
    NotCompletedError,
    NotFoundError,
    OrdersInDoubtError,
    OrdersOpenError,
    OrdersSentError,
    RunEndedError,
    RunGoesOnError,
    StaleVersionError,
    StorageUnavailableError,
    SupersededError,
)

OF_ERROR: Mapping[type[BaseException], Kind] = {
    RuleError: catalogue.INVALID,
    OptionsConflictError: catalogue.CONFLICT,
    EmptyModelError: catalogue.EMPTY_MODEL,
    UnmatchedIdsError: catalogue.INVALID,
    PricesMissingError: catalogue.NO_PRICES,
    NoSolutionInTimeError: catalogue.OUT_OF_TIME,
    CertificationError: catalogue.UNVERIFIED,
    TargetExistsError: catalogue.IN_MODEL,
    TargetUnknownError: catalogue.NOT_FOUND,
    TargetDiffersError: catalogue.DIFFERS,
    NotFoundError: catalogue.NOT_FOUND,
    NameTakenError: catalogue.NAME_TAKEN,
    StaleVersionError: catalogue.STALE,
    PreconditionFailedError: catalogue.PRECONDITION,
    PreconditionRequiredError: catalogue.PRECONDITION_REQUIRED,
    NotAcceptableError: catalogue.NOT_ACCEPTABLE,
    UnsupportedMediaTypeError: catalogue.UNSUPPORTED,
    BodyCodingError: catalogue.BAD_REQUEST,
    TooManyRowsError: catalogue.TOO_MANY_ROWS,
    IdempotencyInProgressError: catalogue.IN_PROGRESS,
    IdempotencyMismatchError: catalogue.KEY_REUSED,
    NotCompletedError: catalogue.NOT_COMPLETED,
    HandOverInProgressError: catalogue.HANDING_OVER,
    RunEndedError: catalogue.RUN_CANCELLED,
    RunGoesOnError: catalogue.RUN_GOES_ON,
    OrdersSentError: catalogue.ORDERS_SENT,
    OrdersInDoubtError: catalogue.IN_DOUBT,
    OrdersOpenError: catalogue.ORDERS_OPEN,
    SupersededError: catalogue.SUPERSEDED,
    StorageUnavailableError: catalogue.STORAGE_DOWN,
    UpstreamUnavailableError: catalogue.UPSTREAM_DOWN,
    UpstreamContractError: catalogue.BROKEN_CONTRACT,
    HoldingsMissingError: catalogue.NO_HOLDINGS,
    OrdersPartlyFilledError: catalogue.PARTLY_FILLED,
    HoldingsFileError: catalogue.HOLDINGS_FILE,
    PortfolioDataError: catalogue.REFUSED,
    NotReadyError: catalogue.NOT_READY,
    TooManyStreamsError: catalogue.OVERLOADED,
    DeadlineExceededError: catalogue.OUT_OF_PATIENCE,
}
# What is shown of an error beyond its sentence: the member, and the attribute that it is.
MEMBERS: Mapping[type[BaseException], Mapping[str, str]] = {
    PricesMissingError: {"securities": "security_ids"},
    OptionsConflictError: {"options": "options"},
    OrdersPartlyFilledError: {"order_ids": "order_ids"},
    StaleVersionError: {"expected_version": "expected", "actual_version": "actual"},
    UpstreamUnavailableError: {"upstream": "upstream"},
    UpstreamContractError: {"upstream": "upstream"},
    NotReadyError: {"failing": "failing", "checks": "checks", "breakers": "breakers"},
    OrdersOpenError: {
        "portfolios": "portfolios",
        "number_of_portfolios": "number_of_portfolios",
        "number_of_open_orders": "number_of_orders",
        "number_cancelled": "number_cancelled",
    },
    SupersededError: {
        "portfolios": "portfolios",
        "number_of_portfolios": "number_of_portfolios",
    },
    NotAcceptableError: {"offered": "offered"},
    UnsupportedMediaTypeError: {"accepted": "accepted"},
    OrdersInDoubtError: {"orders_in_doubt": "count"},
    RunGoesOnError: {"run_id": "run_id"},
}
MOST_SHOWN = 20
WIRE_NAMES = {"targets": "positions", "portfolio_ids": "portfolios", "weight": "target"}
WIRE_BANDS = {"low": "low_drift", "high": "high_drift"}


def kind_of(error: BaseException, more: Mapping[type[BaseException], Kind] | None = None) -> Kind:
    """The kind of an error, by its class or the nearest base in the table."""
    if isinstance(error, RunEndedError) and error.problem:
        return kind_of_refusal(error.problem)
    table = {**OF_ERROR, **(more or {})}
    found = (table[base] for base in type(error).__mro__ if base in table)
    return next(found, catalogue.INTERNAL)


def sentence_of(error: BaseException, kind: Kind) -> str:
    """What the error says, in the names of the JSON; of one that is not foreseen, where its cause stands."""
    if kind is catalogue.INTERNAL:
        return "The cause is in the log, under the correlation id."
    if isinstance(error, RuleError):
        return f"{pointer_of(error.field)} is {shown(error.value)}: {error.rule}"
    return str(error)


def members_of(error: BaseException) -> Json:
    """What a program needs to know of an error beyond its sentence."""
    if isinstance(error, RuleError):
        return {"errors": [{"pointer": pointer_of(error.field), "detail": error.rule}]}
    if isinstance(error, UnmatchedIdsError):
        return {"errors": [_unmatched(*place) for place in error.places[:MOST_SHOWN]]}
    if isinstance(error, RunEndedError):
        return {"run_id": error.run_id, **(error.problem.members if error.problem else {})}
    found = (MEMBERS[base] for base in type(error).__mro__ if base in MEMBERS)
    return {member: _plain(getattr(error, name)) for member, name in next(found, {}).items()}


def refusal_of(error: BaseException) -> Refusal:
    """Why a single portfolio has no plan: what a whole answer would say of the error.

    A rule that the data of a portfolio break is none of the request's: no pointer leads into its body.
    """
    if isinstance(error, RuleError):
        error = PortfolioDataError(error.field, error.value, error.rule)
    kind = kind_of(error)
    return Refusal(kind.slug, sentence_of(error, kind), members_of(error))


def kind_of_refusal(refusal: Refusal) -> Kind:
    """The kind of the reason why one portfolio has no plan: its code is the slug."""
    return KINDS.get(refusal.code, catalogue.REFUSED)


def problem_of(refusal: Refusal | None) -> Json | None:
    """The ``error`` member of one portfolio."""
    if refusal is None:
        return None
    return problem(kind_of_refusal(refusal), refusal.detail, refusal.members)


def pointer_of(field: Sequence[str | int]) -> str:
    """The JSON pointer of a value in the body, given its path in the domain.

    >>> pointer_of(("targets", 3, "band", "low"))
    '/positions/3/low_drift'
    """
    steps: list[str] = []
    for before, step in zip(("", *field), field, strict=False):
        if step == "band":
            continue
        names = WIRE_BANDS if before == "band" else WIRE_NAMES
        steps.append(names.get(str(step), str(step)))
    return json_pointer(steps)


def json_pointer(steps: Sequence[str]) -> str:
    """A JSON pointer (RFC 6901) of these names and indices.

    >>> json_pointer(["lots", "a/b"])
    '/lots/a~1b'
    """
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


def _unmatched(place: Sequence[str | int], security_id: str) -> Json:
    pointer = json_pointer([str(step) for step in place])
    return {"pointer": pointer, "detail": f"{security_id}, {UNMATCHED_RULE}"}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
