"""Catalogue of problems (RFC 9457): every kind of error that an answer can have.

The ``type`` of a problem is the path of its page on this service; ``error_table`` maps errors to
kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of problem: its status and title in answers, and the advice on its page."""

    status: int
    code: str
    title: str
    advice: str
    is_transient: bool = False
    """Whether the same request may succeed a little later, so that the answer has Retry-After."""

    @property
    def uri(self) -> str:
        """Stable type of the problem."""
        return f"/problems/{self.code}"


_READ = "Read it again, repeat the change, and send it with the current version."
_LATER = "Send the same request again after the seconds in Retry-After."

BAD_REQUEST = ProblemKind(400, "bad-request", "Bad request", "Check the encoding of the body.")
NOT_JSON = ProblemKind(
    400,
    "not-json",
    "Invalid JSON",
    "Send one JSON text in UTF-8. NaN and Infinity are not JSON numbers.",
)
BAD_ID = ProblemKind(
    400,
    "bad-id",
    "Invalid id in the path",
    "Ids of models, rebalances and runs have 24 hexadecimal digits. Those of portfolios and "
    "securities have 24 characters, or 1 to 64 under MODEL_RULES=general.",
)
SIGN_IN_FAILED = ProblemKind(
    400,
    "sign-in-failed",
    "Sign-in failed",
    "Sign in again, with a valid key or at /session/login.",
)
UNAUTHENTICATED = ProblemKind(
    401,
    "unauthenticated",
    "Authentication required",
    "Send a valid key or token in the header Authorization, as Bearer.",
)
SCOPE_MISSING = ProblemKind(
    403,
    "scope-missing",
    "Permission missing",
    "Use a key whose roles or scopes include the named scopes, or ask an administrator for one.",
)
OUTSIDE_LIMITS = ProblemKind(
    403,
    "outside-limits",
    "Outside the limits of the caller",
    "The key is limited to some models or portfolios. Name only these, or use another key.",
)
SESSION_INSECURE = ProblemKind(
    403,
    "session-insecure",
    "Session needs https",
    "Set PUBLIC_URL to the https address of the service, and sign in there.",
)
FOREIGN_SITE = ProblemKind(
    403,
    "foreign-site",
    "Sent by another site",
    "Browsers may send changes from pages of this service, and from the origins in CORS_ORIGINS.",
)
NOT_FOUND = ProblemKind(404, "not-found", "Not found", "Check the id.")
UNKNOWN_ROUTE = ProblemKind(404, "unknown-route", "Unknown route", "/docs lists all routes.")
METHOD_NOT_ALLOWED = ProblemKind(
    405,
    "method-not-allowed",
    "Method not allowed",
    "Use one of the methods in Allow; /docs lists all routes.",
)
NOT_ACCEPTABLE = ProblemKind(
    406, "not-acceptable", "Not acceptable", "Accept one of the offered media types."
)
BODY_TOO_SLOW = ProblemKind(
    408,
    "body-too-slow",
    "Request body timed out",
    "A body must arrive within 120 s. Send it over a faster connection, or in several requests.",
)
NAME_TAKEN = ProblemKind(409, "name-taken", "Model name already in use", "Choose another name.")
RUN_CANCELLED = ProblemKind(
    409,
    "run-cancelled",
    "Cancelled before completion",
    "Results from before the cancellation are stored. Send the request again to rebalance "
    "all portfolios.",
)
RUN_GOES_ON = ProblemKind(
    409, "run-goes-on", "Run in progress", "Wait until the named run is over, or cancel it."
)
STALE_VERSION = ProblemKind(409, "stale-version", "Version conflict", _READ)
SECURITY_IN_MODEL = ProblemKind(
    409, "security-in-model", "Security already in the model", "Use PUT to change a position."
)
POSITION_DIFFERS = ProblemKind(
    409,
    "position-differs",
    "Position differs from the stored one",
    "Send the position with its stored values.",
)
REQUEST_IN_PROGRESS = ProblemKind(
    409, "request-in-progress", "First request of the key in progress", _LATER, is_transient=True
)
REBALANCE_NOT_COMPLETED = ProblemKind(
    409,
    "rebalance-not-completed",
    "Rebalance not completed",
    "Orders are handed over for a whole rebalance only. Wait until it is COMPLETED.",
)
HAND_OVER_IN_PROGRESS = ProblemKind(
    409, "hand-over-in-progress", "Hand-over in progress", _LATER, is_transient=True
)
ORDERS_SENT = ProblemKind(
    409,
    "orders-sent",
    "Orders already sent",
    "The record of the orders is kept, because otherwise they could be sent a second time.",
)
ORDERS_OPEN = ProblemKind(
    409,
    "orders-open",
    "Open orders of other rebalances",
    "Nothing was sent, because the same trades could be made twice. Wait until the open "
    "orders are filled, rebalance with open_orders COUNT, or hand over with open_orders "
    "REPLACE (cancel them first) or ADD (send anyway).",
)
REBALANCE_SUPERSEDED = ProblemKind(
    409,
    "rebalance-superseded",
    "Superseded by a later rebalance",
    "Nothing was sent, because the rebalance does not take the later orders into account. "
    "Hand over the later rebalance, or make a new one.",
)
NOT_APPROVED = ProblemKind(
    409,
    "not-approved",
    "Orders not approved",
    "Nothing was sent. Propose the orders, and have the proposal approved. A proposal that is "
    "STALE needs another rebalance, because its trades were made for what has changed since.",
)
PROPOSED_ALREADY = ProblemKind(
    409,
    "proposed-already",
    "Already proposed",
    "Decide on the proposal, or withdraw it: a rebalance has one at a time.",
)
APPROVED_ALREADY = ProblemKind(
    409,
    "approved-already",
    "Already approved by this principal",
    "The approval is stored, and counts once. Another principal has to approve the proposal.",
)
RULES_BROKEN = ProblemKind(
    409,
    "rules-broken",
    "Plans break rules",
    "Hold the portfolios, or have an approver who has not approved override the rules with a "
    "reason.",
)
PROPOSAL_STATE = ProblemKind(
    409,
    "proposal-state",
    "Not possible in this state of the proposal",
    "Read the proposal. What ended without orders may be proposed again, and what is STALE needs "
    "another rebalance.",
)
PRECONDITION_FAILED = ProblemKind(412, "precondition-failed", "Precondition failed", _READ)
BODY_TOO_LARGE = ProblemKind(
    413,
    "body-too-large",
    "Request body too large",
    "MAX_BODY_MB is the limit, MAX_MODEL_BODY_MB for models and runs, and "
    "MAX_OPTIMIZE_BODY_MB for POST /optimize. Send the portfolios in several requests.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemKind(
    415,
    "unsupported-media-type",
    "Unsupported media type or coding",
    "Send JSON as application/json or without Content-Type, either plain or compressed with gzip.",
)
HOST_NOT_ALLOWED = ProblemKind(
    421,
    "host-not-allowed",
    "Host not allowed",
    "Call the service by a name in ALLOWED_HOSTS, or add the name there.",
)
PRECONDITION_REQUIRED = ProblemKind(
    428,
    "precondition-required",
    "Precondition required",
    "Send the ETag of the last read in If-Match, because REQUIRE_IF_MATCH is set here.",
)
FOUR_EYES = ProblemKind(
    403,
    "four-eyes",
    "Four eyes required",
    "Whoever proposed the orders, or began their rebalance, cannot approve them. Ask another "
    "approver.",
)
NOT_PROPOSER = ProblemKind(
    403,
    "not-proposer",
    "Not the proposer",
    "Only its proposer withdraws a proposal. An approver may reject it.",
)
RATE_EXCEEDED = ProblemKind(
    429,
    "rate-exceeded",
    "Too many requests",
    "Send the same request again after the seconds in Retry-After, and fewer in a minute.",
    is_transient=True,
)
INVALID_REQUEST = ProblemKind(
    422,
    "invalid-request",
    "Invalid request",
    "The errors name each invalid value and the rule it breaks.",
)
IDEMPOTENCY_KEY_REUSED = ProblemKind(
    422,
    "idempotency-key-reused",
    "Idempotency key reused",
    "Use a new key for each new request; repeat a key only with the same body.",
)
INFEASIBLE = ProblemKind(
    422,
    "infeasible",
    "No feasible solution exists",
    "No whole numbers of shares satisfy every band and the cash. The members name the "
    "securities or limits that conflict, the options that would admit a plan, and the "
    "nearest plan.",
)
NO_SOLUTION_IN_TIME = ProblemKind(
    422,
    "no-solution-in-time",
    "No solution within the time limit",
    "A plan may exist: raise the time limit or relax an option.",
)
PRICES_MISSING = ProblemKind(
    422,
    "prices-missing",
    "Prices missing",
    "No source has a price above 0 for the named securities; a price of 0 counts as missing.",
)
EMPTY_MODEL = ProblemKind(
    422,
    "empty-model",
    "Model without a target",
    "A rebalance to this model would sell everything. Give the model a target above 0, or "
    "confirm the sale with liquidate: true.",
)
OPTIONS_CONFLICT = ProblemKind(
    422, "options-conflict", "Conflicting options", "Drop one of the named options."
)
TOO_MANY_ROWS = ProblemKind(
    422,
    "too-many-rows",
    "Too many transactions for a workbook",
    "Request CSV or JSON lines, which have no limit, or fewer portfolios.",
)
HOLDINGS_MISSING = ProblemKind(
    422,
    "holdings-missing",
    "Holdings missing",
    "The accounting service has neither cash nor holdings for the portfolio.",
)
ORDERS_PARTLY_FILLED = ProblemKind(
    422,
    "orders-partly-filled",
    "Open orders partly filled",
    "The order service does not report filled quantities, so these orders cannot be "
    "counted. Wait until they are filled or cancelled, or rebalance with open_orders "
    "IGNORE.",
)
HOLDINGS_FILE = ProblemKind(
    422,
    "holdings-file",
    "Unusable holdings file",
    "The file must be in HOLDINGS_DIRECTORY, have the columns portfolio_id, security_id "
    "and quantity, and stay unchanged during the run.",
)
REFUSED = ProblemKind(
    422,
    "refused",
    "Portfolio not rebalanced",
    "The detail gives the reason; the portfolio did not trade.",
)
NONE_REBALANCED = ProblemKind(
    422,
    "none-rebalanced",
    "No portfolio rebalanced",
    "Each listed portfolio has a reason of its own.",
)
UNVERIFIED_PLAN = ProblemKind(
    500,
    "unverified-plan",
    "Plan failed verification",
    "A plan that breaks a limit is never returned. Report the portfolio, because this is a "
    "defect of the service.",
)
INTERNAL_ERROR = ProblemKind(
    500, "internal-error", "Internal error", "Report the correlation id; the log has the cause."
)
UPSTREAM_CONTRACT = ProblemKind(
    502,
    "upstream-contract",
    "Upstream contract broken",
    "Sending the request again does not help; check the upstream and its version.",
)
UPSTREAM_UNAVAILABLE = ProblemKind(
    503, "upstream-unavailable", "Upstream unavailable", _LATER, is_transient=True
)
ORDERS_IN_DOUBT = ProblemKind(
    503,
    "orders-in-doubt",
    "Orders in doubt",
    "No more orders are sent until it is known which ones arrived. Send the same request "
    "again after the seconds in Retry-After: the orders are looked up at the order "
    "service, and only the missing ones are sent.",
    is_transient=True,
)
STORAGE_UNAVAILABLE = ProblemKind(
    503, "storage-unavailable", "Database unavailable", _LATER, is_transient=True
)
IDENTITY_PROVIDER_UNAVAILABLE = ProblemKind(
    503,
    "identity-provider-unavailable",
    "Identity provider unavailable",
    "Send the same request again after the seconds in Retry-After, or use an API key if the "
    "service accepts keys.",
    is_transient=True,
)
OVERLOADED = ProblemKind(503, "overloaded", "Overloaded", _LATER, is_transient=True)
DEADLINE_EXCEEDED = ProblemKind(
    504,
    "deadline-exceeded",
    "Deadline exceeded",
    "The work was stopped. Allow more time, or let it continue in the background with "
    "Prefer: respond-async.",
)
NOT_READY = ProblemKind(
    503, "not-ready", "Not ready", "The failing parts are named.", is_transient=True
)

# fmt: off
KINDS: Mapping[str, ProblemKind] = {
    kind.code: kind
    for kind in (
        BAD_REQUEST, NOT_JSON, BAD_ID, SIGN_IN_FAILED, UNAUTHENTICATED, SCOPE_MISSING,
        OUTSIDE_LIMITS, SESSION_INSECURE, FOREIGN_SITE, NOT_FOUND, UNKNOWN_ROUTE,
        METHOD_NOT_ALLOWED, NOT_ACCEPTABLE, BODY_TOO_SLOW, NAME_TAKEN, RUN_CANCELLED,
        RUN_GOES_ON, STALE_VERSION, SECURITY_IN_MODEL, POSITION_DIFFERS,
        REQUEST_IN_PROGRESS, REBALANCE_NOT_COMPLETED, HAND_OVER_IN_PROGRESS, ORDERS_OPEN,
        REBALANCE_SUPERSEDED, ORDERS_SENT, FOUR_EYES, NOT_PROPOSER, NOT_APPROVED,
        PROPOSED_ALREADY, APPROVED_ALREADY, PROPOSAL_STATE, RULES_BROKEN,
        PRECONDITION_FAILED, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, HOST_NOT_ALLOWED,
        PRECONDITION_REQUIRED, RATE_EXCEEDED, INVALID_REQUEST, IDEMPOTENCY_KEY_REUSED,
        INFEASIBLE, NO_SOLUTION_IN_TIME, PRICES_MISSING, TOO_MANY_ROWS, OPTIONS_CONFLICT,
        EMPTY_MODEL, HOLDINGS_MISSING, ORDERS_PARTLY_FILLED, HOLDINGS_FILE, REFUSED,
        NONE_REBALANCED, UNVERIFIED_PLAN, INTERNAL_ERROR, UPSTREAM_CONTRACT,
        UPSTREAM_UNAVAILABLE, ORDERS_IN_DOUBT, STORAGE_UNAVAILABLE,
        IDENTITY_PROVIDER_UNAVAILABLE, OVERLOADED, NOT_READY, DEADLINE_EXCEEDED,
    )
}
# fmt: on

OF_STATUS: Mapping[int, ProblemKind] = {
    kind.status: kind
    for kind in (BAD_REQUEST, UNKNOWN_ROUTE, METHOD_NOT_ALLOWED, BODY_TOO_SLOW, BODY_TOO_LARGE)
}
