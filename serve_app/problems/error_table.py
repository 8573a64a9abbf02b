"""Error table: one row for each class of errors that can reach an answer.

A row serves whole answers and single portfolios alike, so both say the same of an error.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Generic, TypeVar

from optimization import Refusal
from optimization.errors import (
    UNMATCHED_RULE,
    CertificationError,
    EmptyModelError,
    NoSolutionInTimeError,
    OptionsConflictError,
    PricesMissingError,
    RuleError,
    TargetDiffersError,
    TargetExistsError,
    TargetUnknownError,
    UnmatchedIdsError,
    format_value,
)
from serve_app.auth.errors import (
    AuthenticationError,
    OutsideLimitsError,
    ProviderUnavailableError,
    RateExceededError,
    RightsExceededError,
    ScopeMissingError,
    SignInFailedError,
)
from serve_app.ports.errors import PortError
from serve_app.problems import catalogue
from serve_app.problems.catalogue import KINDS, ProblemKind
from serve_app.problems.documents import ProblemInAnswer, problem
from serve_app.problems.errors import (
    BodyCodingError,
    DeadlineExceededError,
    ForeignSiteError,
    HostNotAllowedError,
    NotAcceptableError,
    NotReadyError,
    PortfolioDataError,
    PreconditionFailedError,
    PreconditionRequiredError,
    SessionInsecureError,
    TooManyRowsError,
    TooManyStreamsError,
    UnsupportedMediaTypeError,
)
from serve_app.problems.pointers import format_pointer, json_pointer
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
from storage.proposals.errors import (
    ApprovedAlreadyError,
    FourEyesError,
    NotApprovedError,
    NotProposerError,
    ProposalStateError,
    ProposedAlreadyError,
    RulesBrokenError,
)

Members = Mapping[str, Any]
ErrorT = TypeVar("ErrorT", bound=BaseException)

DEFAULT_RETRY_AFTER_S: Final = 2
MAX_LEASE_WAIT_S: Final = 10  # because a hand-over usually ends long before its lease
PROVIDER_RETRY_AFTER_S: Final = 10  # because the provider is asked no more often
MAX_LISTED_IDS: Final = 20
REALM: Final = "order-generation"
# Request header -> response header that lists what the service accepts (RFC 9110, 15.5.16).
ACCEPT_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "Accept",
    "Content-Encoding": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class Row(Generic[ErrorT]):
    """The answer to one class of errors; its columns are functions of the error."""

    kind: ProblemKind | Callable[[ErrorT], ProblemKind]
    members: Callable[[ErrorT], Members]
    detail: Callable[[ErrorT], str]
    retry_after_s: Callable[[ErrorT], int]
    headers: Callable[[ErrorT], Mapping[str, str]]


def row(
    error: type[ErrorT],
    kind: ProblemKind | Callable[[ErrorT], ProblemKind],
    members: Callable[[ErrorT], Members] = lambda _: {},
    *,
    detail: Callable[[ErrorT], str] = str,
    retry_after_s: Callable[[ErrorT], int] = lambda _: DEFAULT_RETRY_AFTER_S,
    headers: Callable[[ErrorT], Mapping[str, str]] = lambda _: {},
) -> tuple[type[BaseException], Row[Any]]:
    """Make an entry of the table; pyright checks each column against the class of the error."""
    return error, Row(kind, members, detail, retry_after_s, headers)


def _list_rule_errors(error: RuleError) -> Members:
    return {"errors": [{"pointer": format_pointer(error.field), "detail": error.rule}]}


def _format_rule_detail(error: RuleError) -> str:
    return f"{format_pointer(error.field)} is {format_value(error.value)}: {error.rule}"


def _list_unmatched_errors(error: UnmatchedIdsError) -> Members:
    return {
        "errors": [
            {
                "pointer": json_pointer([str(step) for step in place]),
                "detail": f"{security_id}, {UNMATCHED_RULE}",
            }
            for place, security_id in error.places[:MAX_LISTED_IDS]
        ]
    }


def _find_run_end_kind(error: RunEndedError) -> ProblemKind:
    return find_refusal_kind(error.problem) if error.problem else catalogue.RUN_CANCELLED


def _list_run_end_members(error: RunEndedError) -> Members:
    return {"run_id": error.run_id, **(error.problem.members if error.problem else {})}


def _list_open_order_members(error: OrdersOpenError) -> Members:
    return {
        "portfolios": list(error.portfolios),
        "number_of_portfolios": error.number_of_portfolios,
        "number_of_open_orders": error.number_of_orders,
        "number_cancelled": error.number_cancelled,
    }


def _list_approval_members(error: NotApprovedError) -> Members:
    if error.proposal_id is None:
        return {}
    return {"proposal_id": error.proposal_id, "proposal_status": error.status}


def _challenge(error: AuthenticationError) -> Mapping[str, str]:
    """Make the challenge of RFC 6750; without an error code if no credentials were sent."""
    cause = "" if error.is_missing else ', error="invalid_token"'
    return {"WWW-Authenticate": f'Bearer realm="{REALM}"{cause}'}


def _build_challenge(scopes: Iterable[str]) -> Mapping[str, str]:
    scope = " ".join(scopes)
    text = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{scope}"'
    return {"WWW-Authenticate": text}


UNFORESEEN: Final[Row[Any]] = row(Exception, catalogue.INTERNAL_ERROR)[1]
"""The row of every error that the table does not have."""

ERROR_TABLE: Final[Mapping[type[BaseException], Row[Any]]] = dict(
    (
        # requests
        row(RuleError, catalogue.INVALID_REQUEST, _list_rule_errors, detail=_format_rule_detail),
        row(UnmatchedIdsError, catalogue.INVALID_REQUEST, _list_unmatched_errors),
        row(
            OptionsConflictError, catalogue.OPTIONS_CONFLICT, lambda e: {"options": list(e.options)}
        ),
        row(EmptyModelError, catalogue.EMPTY_MODEL),
        row(PreconditionFailedError, catalogue.PRECONDITION_FAILED),
        row(PreconditionRequiredError, catalogue.PRECONDITION_REQUIRED),
        row(BodyCodingError, catalogue.BAD_REQUEST),
        row(
            NotAcceptableError,
            catalogue.NOT_ACCEPTABLE,
            lambda e: {"offered": list(e.offered)},
            headers=lambda _: {"Vary": "Accept"},
        ),
        row(
            UnsupportedMediaTypeError,
            catalogue.UNSUPPORTED_MEDIA_TYPE,
            lambda e: {"accepted": list(e.accepted)},
            headers=lambda e: {ACCEPT_HEADERS[e.header]: ", ".join(e.accepted)},
        ),
        row(AuthenticationError, catalogue.UNAUTHENTICATED, headers=_challenge),
        row(
            ProviderUnavailableError,
            catalogue.IDENTITY_PROVIDER_UNAVAILABLE,
            retry_after_s=lambda _: PROVIDER_RETRY_AFTER_S,
        ),
        row(
            ScopeMissingError,
            catalogue.SCOPE_MISSING,
            lambda e: {"scopes": list(e.scopes)},
            headers=lambda e: _build_challenge(e.scopes),
        ),
        row(
            RightsExceededError,
            catalogue.SCOPE_MISSING,
            lambda e: {"scopes": list(e.scopes)},
            headers=lambda e: _build_challenge(e.scopes),
        ),
        row(OutsideLimitsError, catalogue.OUTSIDE_LIMITS, lambda e: {"limit": e.limit}),
        row(
            RateExceededError,
            catalogue.RATE_EXCEEDED,
            retry_after_s=lambda e: ceil(e.retry_after_s),
        ),
        row(SignInFailedError, catalogue.SIGN_IN_FAILED),
        row(SessionInsecureError, catalogue.SESSION_INSECURE),
        row(HostNotAllowedError, catalogue.HOST_NOT_ALLOWED),
        row(ForeignSiteError, catalogue.FOREIGN_SITE),
        row(TooManyRowsError, catalogue.TOO_MANY_ROWS),
        row(PortError, catalogue.OVERLOADED),
        row(TooManyStreamsError, catalogue.OVERLOADED),
        row(DeadlineExceededError, catalogue.DEADLINE_EXCEEDED),
        row(
            NotReadyError,
            catalogue.NOT_READY,
            lambda e: {"failing": list(e.failing), "checks": e.checks, "breakers": e.breakers},
        ),
        # models
        row(NotFoundError, catalogue.NOT_FOUND),
        row(NameTakenError, catalogue.NAME_TAKEN),
        row(
            StaleVersionError,
            catalogue.STALE_VERSION,
            lambda e: {"expected_version": e.expected, "actual_version": e.actual},
        ),
        row(TargetExistsError, catalogue.SECURITY_IN_MODEL),
        row(TargetUnknownError, catalogue.NOT_FOUND),
        row(TargetDiffersError, catalogue.POSITION_DIFFERS),
        # portfolios
        row(
            PricesMissingError,
            catalogue.PRICES_MISSING,
            lambda e: {"securities": list(e.security_ids)},
        ),
        row(HoldingsMissingError, catalogue.HOLDINGS_MISSING),
        row(
            OrdersPartlyFilledError,
            catalogue.ORDERS_PARTLY_FILLED,
            lambda e: {"order_ids": list(e.order_ids)},
        ),
        row(PortfolioDataError, catalogue.REFUSED),
        row(NoSolutionInTimeError, catalogue.NO_SOLUTION_IN_TIME),
        row(CertificationError, catalogue.UNVERIFIED_PLAN),
        # rebalances and runs
        row(IdempotencyInProgressError, catalogue.REQUEST_IN_PROGRESS),
        row(IdempotencyMismatchError, catalogue.IDEMPOTENCY_KEY_REUSED),
        row(RunEndedError, _find_run_end_kind, _list_run_end_members),
        row(RunGoesOnError, catalogue.RUN_GOES_ON, lambda e: {"run_id": e.run_id}),
        row(HoldingsFileError, catalogue.HOLDINGS_FILE),
        # orders
        row(NotCompletedError, catalogue.REBALANCE_NOT_COMPLETED),
        row(
            HandOverInProgressError,
            catalogue.HAND_OVER_IN_PROGRESS,
            retry_after_s=lambda e: min(e.leased_for_s, MAX_LEASE_WAIT_S),
        ),
        row(OrdersSentError, catalogue.ORDERS_SENT),
        row(
            OrdersInDoubtError,
            catalogue.ORDERS_IN_DOUBT,
            lambda e: {"orders_in_doubt": e.count},
            retry_after_s=lambda e: e.retry_after_s,
        ),
        row(OrdersOpenError, catalogue.ORDERS_OPEN, _list_open_order_members),
        row(
            SupersededError,
            catalogue.REBALANCE_SUPERSEDED,
            lambda e: {
                "portfolios": list(e.portfolios),
                "number_of_portfolios": e.number_of_portfolios,
            },
        ),
        # proposals
        row(NotApprovedError, catalogue.NOT_APPROVED, _list_approval_members),
        row(
            ProposedAlreadyError,
            catalogue.PROPOSED_ALREADY,
            lambda e: {"proposal_id": e.proposal_id},
        ),
        row(FourEyesError, catalogue.FOUR_EYES),
        row(ApprovedAlreadyError, catalogue.APPROVED_ALREADY),
        row(NotProposerError, catalogue.NOT_PROPOSER),
        row(
            RulesBrokenError,
            catalogue.RULES_BROKEN,
            lambda e: {
                "portfolios": list(e.portfolios),
                "number_of_portfolios": e.number_of_portfolios,
            },
        ),
        row(ProposalStateError, catalogue.PROPOSAL_STATE, lambda e: {"proposal_status": e.status}),
        # database and upstreams
        row(StorageUnavailableError, catalogue.STORAGE_UNAVAILABLE),
        row(
            UpstreamUnavailableError,
            catalogue.UPSTREAM_UNAVAILABLE,
            lambda e: {"upstream": e.upstream},
            retry_after_s=lambda e: max(1, ceil(e.retry_after_s)),
        ),
        row(UpstreamContractError, catalogue.UPSTREAM_CONTRACT, lambda e: {"upstream": e.upstream}),
    )
)


def find_row(error: BaseException) -> Row[Any]:
    """Find the row of the error's class or of its nearest base."""
    rows = (ERROR_TABLE[base] for base in type(error).__mro__ if base in ERROR_TABLE)
    return next(rows, UNFORESEEN)


def find_kind(error: BaseException) -> ProblemKind:
    """Look up the kind of an error."""
    kind = find_row(error).kind
    return kind if isinstance(kind, ProblemKind) else kind(error)


def format_detail(error: BaseException, kind: ProblemKind) -> str:
    """Write the sentence of an error; an unforeseen one shows nothing of itself."""
    if kind is catalogue.INTERNAL_ERROR:
        return "The cause is in the log, under the correlation id."
    return find_row(error).detail(error)


def list_members(error: BaseException) -> Members:
    """List the facts of an error that a program needs beyond the sentence."""
    return find_row(error).members(error)


def build_headers(error: BaseException, kind: ProblemKind) -> Mapping[str, str]:
    """Make the headers of a whole answer to an error."""
    entry = find_row(error)
    return {**entry.headers(error), **retry_headers(kind, entry.retry_after_s(error))}


def retry_headers(kind: ProblemKind, seconds: int = DEFAULT_RETRY_AFTER_S) -> Mapping[str, str]:
    """Make the header that says when to send the request again, if that can help."""
    return {"Retry-After": str(seconds)} if kind.is_transient else {}


def build_refusal(error: BaseException) -> Refusal:
    """Build the refusal of a single portfolio, as a whole answer would describe the error.

    A rule that the portfolio's data breaks is answered without a pointer, because no place in the
    body of the request is at fault.
    """
    if isinstance(error, RuleError):
        error = PortfolioDataError(error.field, error.value, error.rule)
    kind = find_kind(error)
    return Refusal(kind.code, format_detail(error, kind), list_members(error))


def find_refusal_kind(refusal: Refusal) -> ProblemKind:
    """Look up the kind of a refusal by its code."""
    return KINDS.get(refusal.code, catalogue.REFUSED)


def build_problem(refusal: Refusal) -> ProblemInAnswer:
    """Make the ``error`` member of one portfolio."""
    return problem(find_refusal_kind(refusal), refusal.detail, refusal.members)
