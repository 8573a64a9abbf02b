"""Errors of the upstream clients.

UpstreamError
├── UpstreamUnavailableError    no answer within the policy's attempts; a later call may succeed
│   └── CircuitOpenError        no request was sent, because the circuit breaker is open
├── UpstreamContractError       the answer violates the contract; a retry does not help
│   └── AnswerCutShortError     the answer broke off in every attempt
├── OutcomeUnknownError         a request that is sent only once has no answer that tells its effect
├── HoldingsMissingError        the accounting service has no balances of this portfolio
├── OrdersPartlyFilledError     open orders of this portfolio are filled in part
└── HoldingsFileError           a file of holdings is missing or cannot be used

Unavailability and a broken contract end a whole run, missing holdings are the outcome of single
portfolios. Every class passes all its arguments to ``super().__init__``, because otherwise it would
not survive pickling between processes.
"""


class UpstreamError(Exception):
    """Base of all errors of the package."""


class UpstreamUnavailableError(UpstreamError):
    """The upstream gave no usable answer; ``retry_after_s`` says when to ask again."""

    def __init__(self, upstream: str, detail: str, retry_after_s: float) -> None:
        super().__init__(upstream, detail, retry_after_s)
        self.upstream = upstream
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"the {self.upstream} service is unavailable: {self.detail}"


class CircuitOpenError(UpstreamUnavailableError):
    """Too many recent bad seconds (``Breaker``): the upstream is not called for a while."""


class OutcomeUnknownError(UpstreamError):
    """A request that must not be repeated was sent, and no answer tells its effect."""

    def __init__(self, upstream: str, detail: str) -> None:
        super().__init__(upstream, detail)
        self.upstream = upstream
        self.detail = detail

    def __str__(self) -> str:
        return f"the {self.upstream} service did not say what became of a request: {self.detail}"


class UpstreamContractError(UpstreamError):
    """The upstream's answer violates its contract."""

    def __init__(self, upstream: str, detail: str) -> None:
        super().__init__(upstream, detail)
        self.upstream = upstream
        self.detail = detail

    def __str__(self) -> str:
        return f"the {self.upstream} service broke its contract: {self.detail}"


class AnswerCutShortError(UpstreamContractError):
    """Every attempt got an answer that broke off: a wrong Content-Length or a crashing service.

    It fails only the resource requested; a run that does not stop on outages retries it later.
    """


# These end a run that a caller waits for.
FAILURES = (UpstreamUnavailableError, UpstreamContractError)
# These are retried by a run that no caller waits for.
PASSING = (UpstreamUnavailableError, AnswerCutShortError)


class OrdersPartlyFilledError(UpstreamError):
    """Open orders of a portfolio are filled in part, and the order service does not say how far."""

    def __init__(self, portfolio_id: str, order_ids: tuple[int, ...]) -> None:
        super().__init__(portfolio_id, order_ids)
        self.portfolio_id = portfolio_id
        self.order_ids = order_ids

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.order_ids))
        return f"orders {shown} of portfolio {self.portfolio_id} are filled in part"


class HoldingsMissingError(UpstreamError):
    """The portfolio has no balances: it is unknown or was never funded."""

    def __init__(self, portfolio_id: str) -> None:
        super().__init__(portfolio_id)
        self.portfolio_id = portfolio_id

    def __str__(self) -> str:
        return f"portfolio {self.portfolio_id} has no balances"


class HoldingsFileError(UpstreamError):
    """A file of holdings is missing, was changed during a run, or has the wrong content."""

    def __init__(self, file: str, rule: str) -> None:
        super().__init__(file, rule)
        self.file = file
        self.rule = rule

    def __str__(self) -> str:
        return f"the holdings file {self.file} {self.rule}"
