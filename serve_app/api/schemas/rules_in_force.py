"""Rules in force: those of the service that answers, GlobeCo's unless its settings differ.

The two contracts have the same routes; they differ in what an id, a position and a model may be.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from optimization import GLOBECO, ModelRules

_rules: ContextVar[ModelRules] = ContextVar("rules", default=GLOBECO)


def rules_in_force() -> ModelRules:
    """Return the rules of the application that answers the current request."""
    return _rules.get()


@contextmanager
def use_rules(rules: ModelRules) -> Generator[None]:
    """Run the block under these rules."""
    token = _rules.set(rules)
    try:
        yield
    finally:
        _rules.reset(token)


@dataclass(frozen=True, slots=True)
class ByRules:
    """Validates and documents a value by one of two shapes, whichever the rules in force need.

    Put on the largest value that differs, because the choice costs a microsecond.
    """

    globeco: Any
    general: Any

    @property
    def shape(self) -> Any:
        """The shape under the rules in force."""
        return self.globeco if rules_in_force() is GLOBECO else self.general

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        shapes = [handler.generate_schema(shape) for shape in (self.globeco, self.general)]
        # The union is there for its definitions alone: `_validate` chooses, because the errors of
        # a union name each of its members.
        return core_schema.no_info_wrap_validator_function(
            self._validate, core_schema.union_schema([*shapes])
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        wrapper: Any = schema
        globeco, general = wrapper["schema"]["choices"]
        # Inside the wrapper, because the handler follows references only of what a schema contains.
        choice: Any = {**wrapper, "schema": globeco if rules_in_force() is GLOBECO else general}
        return handler(choice)

    def _validate(self, value: Any, _: Any) -> Any:
        return _adapter(self.shape).validate_python(value)


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)
