"""Outcomes of portfolios that are not rebalanced, with the reason."""

import logging

from optimization import PortfolioOutcome, Refusal, Status
from serve_app.problems import catalogue
from serve_app.problems.error_table import kind_of, refusal_of

logger = logging.getLogger(__name__)


def refused_outcome(portfolio_id: str, refusal: Refusal) -> PortfolioOutcome:
    """Make the outcome of a portfolio that is not rebalanced for this reason."""
    return PortfolioOutcome(portfolio_id, Status.FAILED, None, None, None, refusal=refusal)


def failed_outcome(portfolio_id: str, error: Exception) -> PortfolioOutcome:
    """Make the outcome of a portfolio that an error prevents from being rebalanced."""
    if kind_of(error) is catalogue.INTERNAL:
        logger.error("portfolio %s failed unexpectedly", portfolio_id, exc_info=error)
    return refused_outcome(portfolio_id, refusal_of(error))
