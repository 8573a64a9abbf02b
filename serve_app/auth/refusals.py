"""Record of refusals in the audit log: of rights that a caller lacks, and of sign-ins."""

import logging
from typing import Final, Protocol

from serve_app.auth.errors import (
    OutsideLimitsError,
    RateExceededError,
    RightsExceededError,
    ScopeMissingError,
)
from serve_app.auth.rate_limits import RateLimiter
from serve_app.call_context import principal
from storage.audit.trail import Action
from storage.errors import StorageUnavailableError
from storage.proposals.errors import FourEyesError, NotProposerError

REFUSALS: Final = (
    FourEyesError,
    NotProposerError,
    OutsideLimitsError,
    RightsExceededError,
    ScopeMissingError,
)
RECORDS_PER_MINUTE: Final = 60  # for each principal, because anybody with a key could fill the log
MAX_TEXT: Final = 500
NOBODY: Final = "a caller without valid credentials"

logger = logging.getLogger(__name__)


class RefusalLog(Protocol):
    """Store of refusals."""

    async def record_refusal(self, action: Action, operation: str, path: str, reason: str) -> None:
        """Add a refusal to the audit log, with the principal of the call."""
        ...


class RefusalRecorder:
    """Records refusals in the audit log, at most 60 a minute of one principal.

    All refusals of unknown callers share one bound.
    """

    def __init__(self, log: RefusalLog, action: Action = Action.RIGHT_REFUSED) -> None:
        self._log = log
        self._action = action
        self._limiter = RateLimiter(RECORDS_PER_MINUTE)

    async def record(self, caller: str, operation: str, path: str, error: Exception) -> None:
        """Record a refusal; log a refusal that cannot be recorded, because it stands all the same.

        ``operation`` is the method with the template of the route.
        """
        try:
            self._limiter.take(caller)
            reason = str(error)[:MAX_TEXT]
            principal.set(caller)
            await self._log.record_refusal(self._action, operation, path[:MAX_TEXT], reason)
        except RateExceededError:
            logger.warning("%s is refused too often to record each refusal", caller or NOBODY)
        except StorageUnavailableError:
            logger.warning("the refusal of %s to %s was not recorded", operation, caller or NOBODY)
