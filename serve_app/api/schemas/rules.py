"""Pre-trade rules, and their results for the plan of a portfolio."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Annotated, Any, Final, NotRequired

from pydantic import BaseModel, ConfigDict, Field, StrictBool
from typing_extensions import TypedDict

from optimization import PortfolioOutcome
from serve_app.api.schemas.fields import (
    SECURITY,
    DecimalText,
    DocumentedAs,
    JsonNumber,
    ObjectIdentifier,
    describe_number,
    inline_enum,
)
from serve_app.api.schemas.general_fields import AMOUNT, HIDDEN, MAX_AMOUNT, Part, limit_decimals
from serve_app.api.schemas.models import Version
from serve_app.json_text import Json, write_number, write_string
from serve_app.rules.evaluation import RuleCheck, RuleOutcome, RuleResult
from storage.rules.rule import MAX_RULE_IDS_PER_LIST, RestrictedSide, Rule, RuleKind, Severity

MAX_NAME_LENGTH: Final = 80
LIMIT: Final[Json] = {
    "name": "energy at most a tenth",
    "kind": "WEIGHT_MOST",
    "severity": "BLOCK",
    "as_option": True,
    "security_ids": [SECURITY],
    "part": "0.1",
}
Id = Annotated[str, Field(min_length=1, max_length=64)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MAX_RULE_IDS_PER_LIST)]
NotNegative = Annotated[
    Decimal, Field(ge=0, le=MAX_AMOUNT), limit_decimals(18), describe_number(AMOUNT, 0, MAX_AMOUNT)
]


class RulePost(BaseModel):
    """A new rule; which members it has depends on its kind.

    ``models`` and ``portfolios`` limit the rule to these ids.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [LIMIT]})

    name: Annotated[str, Field(pattern=rf"^[^{HIDDEN}]{{1,{MAX_NAME_LENGTH}}}$")]
    kind: RuleKind
    severity: Severity
    as_option: StrictBool = Field(False, description="narrows the options before the plan is made")
    models: (
        Annotated[
            list[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{24}$")]],
            Field(min_length=1, max_length=MAX_RULE_IDS_PER_LIST),
        ]
        | None
    ) = None
    portfolios: Ids | None = None
    security_ids: Ids | None = None
    side: RestrictedSide | None = Field(None, description="of RESTRICTED: not bought, or not held")
    part: Part | None = Field(
        None,
        description="of market value; of ORDER_SHARE_MOST, of the volume in the options of a "
        "rebalance",
    )
    amount: NotNegative | None = Field(None, description="in currency")


class RulePut(RulePost):
    """A whole rule, and the version that it replaces."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**LIMIT, "version": 1}]}
    )

    version: Version


class RuleAnswer(TypedDict):
    """A pre-trade rule; a member that its kind does not have is null."""

    rule_id: ObjectIdentifier
    name: str
    kind: RuleKind
    severity: Severity
    as_option: bool
    models: list[str] | None
    portfolios: list[str] | None
    security_ids: list[str] | None
    side: RestrictedSide | None
    part: DecimalText | None
    amount: DecimalText | None
    version: int


Result = Annotated[RuleOutcome, DocumentedAs(inline_enum(RuleOutcome))]


class RuleResultAnswer(TypedDict):
    """Outcome of a rule for a plan; ``left`` is below 0 if the plan breaks it.

    ``value`` and ``left`` are null if the options give no volume of the securities in
    ``without_volume``, which the plan trades.
    """

    rule_id: ObjectIdentifier
    name: str
    version: int
    result: Result
    value: DecimalText | None
    limit: DecimalText
    left: DecimalText | None
    without_volume: NotRequired[list[str]]


class StoredRuleResult(TypedDict):
    """Outcome of a rule for a stored plan; ``left`` is below 0 if the plan breaks it.

    ``value`` and ``left`` are null if the options give no volume of the securities in
    ``without_volume``, which the plan trades.
    """

    rule_id: ObjectIdentifier
    name: str
    version: int
    result: Result
    value: JsonNumber | None
    limit: JsonNumber
    left: JsonNumber | None
    without_volume: NotRequired[list[str]]


def build_rule(body: RulePost, rule_id: str = "", version: int = 1) -> Rule:
    """Convert a body to a rule; RuleError for a member that does not belong to its kind."""
    models = (
        None if body.models is None else frozenset(model_id.lower() for model_id in body.models)
    )
    return Rule(
        name=body.name,
        kind=body.kind,
        severity=body.severity,
        as_option=body.as_option,
        models=models,
        portfolios=None if body.portfolios is None else frozenset(body.portfolios),
        security_ids=frozenset(body.security_ids or ()),
        side=body.side,
        part=body.part,
        amount=body.amount,
        rule_id=rule_id.lower(),
        version=version,
    )


def rule_json(rule: Rule) -> RuleAnswer:
    """Describe a rule."""
    return {
        "rule_id": rule.rule_id,
        "name": rule.name,
        "kind": rule.kind,
        "severity": rule.severity,
        "as_option": rule.as_option,
        "models": _id_list(rule.models),
        "portfolios": _id_list(rule.portfolios),
        "security_ids": _id_list(rule.security_ids or None),
        "side": rule.side,
        "part": write_string(rule.part),
        "amount": write_string(rule.amount),
        "version": rule.version,
    }


def rule_results(check: RuleCheck, outcome: PortfolioOutcome) -> list[RuleResultAnswer]:
    """Build the results of rules for the plan of a portfolio, with decimals as strings."""
    return [_result_json(result, write_string) for result in check.evaluate(outcome)]


def stored_rule_results(check: RuleCheck, outcome: PortfolioOutcome) -> list[StoredRuleResult]:
    """Build the results of rules for a stored plan, with decimals as numbers."""
    return [_result_json(result, write_number) for result in check.evaluate(outcome)]


def _result_json(result: RuleResult, write: Callable[[Decimal | None], Any]) -> Any:
    missing = {"without_volume": [*result.without_volume]} if result.without_volume else {}
    return {
        "rule_id": result.rule.rule_id,
        "name": result.rule.name,
        "version": result.rule.version,
        "result": result.outcome,
        "value": write(result.value),
        "limit": write(result.limit),
        "left": write(result.left),
        **missing,
    }


def _id_list(ids: Iterable[str] | None) -> list[str] | None:
    return None if ids is None else sorted(ids)
