"""Pre-trade rules, and their results for the plan of a portfolio."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Final

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
from serve_app.json_text import Json, number, string
from serve_app.rules.evaluation import RuleOutcome, evaluate_rules
from storage.rule import MAX_RULE_IDS, RestrictedSide, Rule, RuleKind, Severity

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
Ids = Annotated[list[Id], Field(min_length=1, max_length=MAX_RULE_IDS)]
Positive = Annotated[
    Decimal, Field(gt=0, le=MAX_AMOUNT), limit_decimals(18), describe_number(AMOUNT, 0, MAX_AMOUNT)
]
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
            Field(min_length=1, max_length=MAX_RULE_IDS),
        ]
        | None
    ) = None
    portfolios: Ids | None = None
    security_ids: Ids | None = None
    side: RestrictedSide | None = Field(None, description="of RESTRICTED: not bought, or not held")
    part: Part | None = Field(None, description="of market value; of the volume for orders")
    amount: NotNegative | None = Field(None, description="in currency")
    volumes: Annotated[dict[Id, Positive], Field(max_length=MAX_RULE_IDS)] | None = Field(
        None, description="shares of each security that ORDER_SHARE_MOST compares orders with"
    )


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
    volumes: dict[str, DecimalText] | None
    version: int


Result = Annotated[RuleOutcome, DocumentedAs(inline_enum(RuleOutcome))]


class RuleResultAnswer(TypedDict):
    """Outcome of a rule for a plan; ``left`` is below 0 if the plan breaks it."""

    rule_id: ObjectIdentifier
    name: str
    version: int
    result: Result
    value: DecimalText
    limit: DecimalText
    left: DecimalText


class StoredRuleResult(TypedDict):
    """Outcome of a rule for a stored plan; ``left`` is below 0 if the plan breaks it."""

    rule_id: ObjectIdentifier
    name: str
    version: int
    result: Result
    value: JsonNumber
    limit: JsonNumber
    left: JsonNumber


def rule_of(body: RulePost, rule_id: str = "", version: int = 1) -> Rule:
    """Convert a body to a rule; RuleError for a member that does not belong to its kind."""
    models = None if body.models is None else frozenset(each.lower() for each in body.models)
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
        volumes=body.volumes or {},
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
        "part": string(rule.part),
        "amount": string(rule.amount),
        "volumes": {one: string(shares) for one, shares in sorted(rule.volumes.items())} or None,
        "version": rule.version,
    }


def rule_results(rules: Sequence[Rule], outcome: PortfolioOutcome) -> list[RuleResultAnswer]:
    """Build the results of rules for the plan of a portfolio, with decimals as strings."""
    return [
        {
            "rule_id": each.rule.rule_id,
            "name": each.rule.name,
            "version": each.rule.version,
            "result": each.outcome,
            "value": string(each.value),
            "limit": string(each.limit),
            "left": string(each.left),
        }
        for each in evaluate_rules(rules, outcome)
    ]


def stored_rule_results(rules: Sequence[Rule], outcome: PortfolioOutcome) -> list[StoredRuleResult]:
    """Build the results of rules for a stored plan, with decimals as numbers."""
    return [
        {
            "rule_id": each.rule.rule_id,
            "name": each.rule.name,
            "version": each.rule.version,
            "result": each.outcome,
            "value": number(each.value),
            "limit": number(each.limit),
            "left": number(each.left),
        }
        for each in evaluate_rules(rules, outcome)
    ]


def _id_list(ids: Iterable[str] | None) -> list[str] | None:
    return None if ids is None else sorted(ids)
