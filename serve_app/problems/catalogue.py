"""The catalogue of problems (RFC 9457): every kind of error that an answer can have.

The ``type`` of a problem is the path of the page that explains it, on this service. Which error
leads to which kind stands in ``error_table``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import TypedDict

from serve_app.json_text import Json


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: what is sent of it, and what its page advises."""

    status: int
    slug: str
    title: str
    advice: str
    is_transient: bool = False
    """Whether the same request may succeed a little later, so that the answer has Retry-After."""

    @property
    def uri(self) -> str:
        """The stable type of the problem."""
        return f"/problems/{self.slug}"


_READ = "Read it again, make the change once more and send it with the version that is stored now."
_LATER = "Send the same request again after the seconds that Retry-After names."

BAD_REQUEST = Kind(400, "bad-request", "The request cannot be read", "Check how it is encoded.")
NOT_JSON = Kind(
    400,
    "not-json",
    "The body cannot be read as JSON",
    "Send one JSON text in UTF-8. NaN and Infinity are no JSON numbers.",
)
BAD_ID = Kind(400, "bad-id", "An id in the path is not an id", "Ids have 24 characters.")
NOT_FOUND = Kind(404, "not-found", "It is not stored here", "Check the id.")
NO_ROUTE = Kind(404, "unknown-route", "There is no such route", "The routes stand in /docs.")
NO_METHOD = Kind(405, "method-not-allowed", "Not for this method", "The routes stand in /docs.")
NOT_ACCEPTABLE = Kind(
    406,
    "not-acceptable",
    "None of the media types that are accepted",
    "Accept one of the media types that are offered.",
)
BODY_SLOW = Kind(
    408,
    "body-too-slow",
    "The body takes too long to arrive",
    "A body has to arrive within 120 s. Send it over a faster connection, or in several requests.",
)
NAME_TAKEN = Kind(409, "name-taken", "Another model has this name", "Choose another name.")
RUN_CANCELLED = Kind(
    409,
    "run-cancelled",
    "It was cancelled before it was done",
    "What was done before is stored. Send the request again for all of it.",
)
RUN_GOES_ON = Kind(
    409,
    "run-goes-on",
    "The run of the rebalance is not over",
    "Wait until the run that is named is over, or cancel it.",
)
STALE = Kind(409, "stale-version", "It was changed in the meantime", _READ)
IN_MODEL = Kind(
    409,
    "security-in-model",
    "The security is in the model already",
    "Use PUT to change a position.",
)
DIFFERS = Kind(
    409,
    "position-differs",
    "The position has other values",
    "Send the position with the values that are stored.",
)
IN_PROGRESS = Kind(
    409,
    "request-in-progress",
    "The first request of this key is still at work",
    _LATER,
    is_transient=True,
)
NOT_COMPLETED = Kind(
    409,
    "rebalance-not-completed",
    "The rebalance is not completed",
    "Only the orders of a whole rebalance are handed over. Wait until it is COMPLETED.",
)
HANDING_OVER = Kind(
    409,
    "hand-over-in-progress",
    "The orders are being handed over by another request",
    _LATER,
    is_transient=True,
)
ORDERS_SENT = Kind(
    409,
    "orders-sent",
    "Orders of the rebalance were sent",
    "The record of what was sent is kept, so that none of it is sent again.",
)
ORDERS_OPEN = Kind(
    409,
    "orders-open",
    "Portfolios have open orders of other rebalances",
    "Nothing was sent, because the same trades could be made twice. Wait until the orders are "
    "filled, rebalance with open_orders COUNT, or hand over with open_orders REPLACE (cancel them "
    "first) or ADD (send all the same).",
)
SUPERSEDED = Kind(
    409,
    "rebalance-superseded",
    "Orders of a later rebalance were sent",
    "Nothing was sent, because the rebalance knows nothing of these orders. Hand the later "
    "rebalance over, or make a new one.",
)
PRECONDITION = Kind(412, "precondition-failed", "If-Match names another version", _READ)
TOO_LARGE = Kind(
    413,
    "body-too-large",
    "The body is too large",
    "MAX_BODY_MB says how much is read, MAX_MODEL_BODY_MB of a model and MAX_OPTIMIZE_BODY_MB of a "
    "problem to optimize. Send portfolios in several requests.",
)
UNSUPPORTED = Kind(
    415,
    "unsupported-media-type",
    "The body has another media type or coding",
    "Send JSON as application/json or without Content-Type, as it is or compressed by gzip.",
)
PRECONDITION_REQUIRED = Kind(
    428,
    "precondition-required",
    "A change needs If-Match",
    "Send the ETag of what was read in If-Match. REQUIRE_IF_MATCH of this service says so.",
)
INVALID = Kind(
    422, "invalid-request", "The request breaks a rule", "The errors name each value and its rule."
)
KEY_REUSED = Kind(
    422,
    "idempotency-key-reused",
    "The idempotency key belongs to another request",
    "Make a new key for every new request; repeat one only with the same body.",
)
INFEASIBLE = Kind(
    422,
    "infeasible",
    "No feasible solution exists",
    "No whole numbers of shares fit every band and the cash. The members say which securities or "
    "limits are in the way, what would admit a plan, and the nearest plan.",
)
OUT_OF_TIME = Kind(
    422,
    "no-solution-in-time",
    "No plan was found within the time limit",
    "One may exist: allow more time or relax an option.",
)
NO_PRICES = Kind(
    422,
    "prices-missing",
    "Securities have no price",
    "Nothing gave a price above 0 for the securities that are named: a price of 0 counts as "
    "missing.",
)
EMPTY_MODEL = Kind(
    422,
    "empty-model",
    "The model has no target",
    "A rebalance to it would sell everything. Give the model a target above 0, or say so: "
    "liquidate: true.",
)
CONFLICT = Kind(
    422, "options-conflict", "Options exclude each other", "Drop one of the options that are named."
)
TOO_MANY_ROWS = Kind(
    422,
    "too-many-rows",
    "More transactions than a sheet has rows",
    "Ask for CSV or JSON lines, which have no limit, or for some of the portfolios.",
)
NO_HOLDINGS = Kind(
    422,
    "holdings-missing",
    "The portfolio has no balances",
    "The accounting service knows neither cash nor holdings of it.",
)
PARTLY_FILLED = Kind(
    422,
    "orders-partly-filled",
    "Open orders are filled in part",
    "The order service does not say how far, so they cannot be counted. Wait until they are filled "
    "or cancelled, or rebalance with open_orders IGNORE.",
)
HOLDINGS_FILE = Kind(
    422,
    "holdings-file",
    "The file of holdings cannot be used",
    "It has to lie in HOLDINGS_DIRECTORY, have the columns portfolio_id, security_id and quantity, "
    "and stay as it is while the run goes on.",
)
REFUSED = Kind(
    422,
    "refused",
    "The portfolio could not be rebalanced",
    "The detail says why; it did not trade.",
)
NONE_REBALANCED = Kind(
    422,
    "none-rebalanced",
    "No portfolio could be rebalanced",
    "The portfolios that are listed say why, each for itself.",
)
UNVERIFIED = Kind(
    500,
    "unverified-plan",
    "No plan passed verification",
    "A plan that breaks a limit is never returned. Report the portfolio: this is a fault.",
)
INTERNAL = Kind(
    500,
    "internal-error",
    "Something went wrong here",
    "Report the correlation id: the log has the cause.",
)
BROKEN_CONTRACT = Kind(
    502,
    "upstream-contract",
    "An upstream answered what its contract does not have",
    "Asking again does not help; the upstream and its version need a look.",
)
UPSTREAM_DOWN = Kind(
    503,
    "upstream-unavailable",
    "An upstream does not answer",
    _LATER,
    is_transient=True,
)
IN_DOUBT = Kind(
    503,
    "orders-in-doubt",
    "It is not known whether some orders arrived",
    "Nothing is sent until it is. Send the same request again after the seconds that Retry-After "
    "names: the orders are then looked up at the order service, and only those missing are sent.",
    is_transient=True,
)
STORAGE_DOWN = Kind(
    503,
    "storage-unavailable",
    "The database does not answer",
    _LATER,
    is_transient=True,
)
OVERLOADED = Kind(
    503,
    "overloaded",
    "Too much work is waiting",
    _LATER,
    is_transient=True,
)
OUT_OF_PATIENCE = Kind(
    504,
    "deadline-exceeded",
    "It took longer than the caller waits",
    "Nothing of it goes on. Allow more time, or let it go on by itself: Prefer: respond-async.",
)
NOT_READY = Kind(
    503,
    "not-ready",
    "A part does not answer",
    "The failing parts are named.",
    is_transient=True,
)

# fmt: off
KINDS: Mapping[str, Kind] = {
    kind.slug: kind
    for kind in (
        BAD_REQUEST, NOT_JSON, BAD_ID, NOT_FOUND, NO_ROUTE, NO_METHOD, NOT_ACCEPTABLE, BODY_SLOW,
        NAME_TAKEN, RUN_CANCELLED, RUN_GOES_ON, STALE, IN_MODEL, DIFFERS, IN_PROGRESS,
        NOT_COMPLETED, HANDING_OVER, ORDERS_OPEN, SUPERSEDED, ORDERS_SENT, PRECONDITION, TOO_LARGE,
        UNSUPPORTED, PRECONDITION_REQUIRED, INVALID, KEY_REUSED, INFEASIBLE, OUT_OF_TIME, NO_PRICES,
        TOO_MANY_ROWS, CONFLICT, EMPTY_MODEL, NO_HOLDINGS, PARTLY_FILLED, HOLDINGS_FILE, REFUSED,
        NONE_REBALANCED, UNVERIFIED, INTERNAL, BROKEN_CONTRACT, UPSTREAM_DOWN, IN_DOUBT,
        STORAGE_DOWN, OVERLOADED, NOT_READY, OUT_OF_PATIENCE,
    )
}
# fmt: on

OF_STATUS: Mapping[int, Kind] = {
    kind.status: kind for kind in (BAD_REQUEST, NO_ROUTE, NO_METHOD, BODY_SLOW, TOO_LARGE)
}


class ProblemInAnswer(TypedDict, extra_items=object):
    """Why a portfolio has no plan."""

    type: str
    title: str
    status: int
    detail: str


def problem(kind: Kind, detail: str, members: Mapping[str, Any] | None = None) -> ProblemInAnswer:
    """Build the document of a problem; its own members cannot replace the standard ones."""
    standard: Json = {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    return ProblemInAnswer(**{**standard, **(members or {}), **standard})
