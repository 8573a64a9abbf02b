"""Everything the upstream clients raise.

UpstreamError
├── UpstreamUnavailableError         no answer within the policy's tries; a later call may succeed
│   └── CircuitOpenError             not even asked: the circuit breaker is open
├── UpstreamContractError            an answer that is not of the contract; asking again does not help
│   └── AnswerCutShortError          an answer that broke off in every try
├── OutcomeUnknownError              a request that may go out only once did, and no answer says what it did
├── HoldingsMissingError             the accounting service has no balances of this portfolio
├── OrdersPartlyFilledError          open orders of this portfolio are filled in part
└── HoldingsFileError                a file of holdings that is not there or cannot be used

Unavailability and a broken contract end a whole run, missing holdings are the outcome of single portfolios.
Every class passes all its arguments to ``super().__init__`` so that it survives pickling between processes.
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
    """Too many bad seconds of late (``Breaker``): the upstream is left alone for a while."""


class OutcomeUnknownError(UpstreamError):
    """A request that may not be repeated went out, and no answer says what it did."""

    def __init__(self, upstream: str, detail: str) -> None:
        super().__init__(upstream, detail)
        self.upstream = upstream
        self.detail = detail

    def __str__(self) -> str:
        return f"the {self.upstream} service did not say what became of a request: {self.detail}"


class UpstreamContractError(UpstreamError):
    """The upstream answered something its contract does not have."""

    def __init__(self, upstream: str, detail: str) -> None:
        super().__init__(upstream, detail)
        self.upstream = upstream
        self.detail = detail

    def __str__(self) -> str:
        return f"the {self.upstream} service broke its contract: {self.detail}"


class AnswerCutShortError(UpstreamContractError):
    """Every try got an answer that broke off: a wrong Content-Length, or a service that keeps dying.

    It fails what was asked for and nothing else; a run that goes on by itself asks again later.
    """


# What ends a run that somebody waits for.
FAILURES = (UpstreamUnavailableError, UpstreamContractError)
# What a run that goes on by itself asks again after.
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
    """A file of holdings that is not there, was changed during a run, or is not what it should be."""

    def __init__(self, file: str, rule: str) -> None:
        super().__init__(file, rule)
        self.file = file
        self.rule = rule

    def __str__(self) -> str:
        return f"the holdings file {self.file} {self.rule}"
