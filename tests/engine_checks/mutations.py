"""Mutations: every small change of a module of the engine, one at a time, as code.

The changes concern comparisons, arithmetic, and/or, not, whole and float constants (one more, one
less), truth values, strings (but messages), conditions (always, never), min/max and their like, and
leave out statements and keywords.
"""

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import CodeType
from typing import Any

ENGINE = Path(__file__).resolve().parents[2] / "optimization"


def path_of(module: str) -> Path:
    """The file of a module of the engine, such as ``solvers.separable``."""
    return (ENGINE / module.replace(".", "/")).with_suffix(".py")


def module_of(path: Path) -> str:
    """The module of a file of the engine."""
    return ".".join(path.relative_to(ENGINE).with_suffix("").parts)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place of a module."""

    module: str
    line: int
    last: int
    at_import: bool  # outside of every function
    before: str
    after: str

    @property
    def key(self) -> str:
        """A key that stays with the change when its line moves."""
        return f"{self.module}: {self.before} -> {self.after}"


Put = Callable[[ast.AST], None]
COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
CALLED = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum",
    "any": "all", "all": "any", "ceil": "int",
    "sorted": "list", "abs": "int", "zeros": "ones", "ones": "zeros",
}  # fmt: skip
UNSEEN = {"annotation", "returns", "decorator_list", "bases", "type_params"}
# Contracts between lines, data types, and kinds of sorting, because no test specifies them.
SILENT_KEYWORDS = {"strict", "dtype", "kind"}


def places(tree: ast.AST, inside: ast.AST | None = None) -> Iterator[tuple[ast.AST, Put, Any]]:
    """Find the nodes that may change, with their setter and their statement."""
    for field, value in ast.iter_fields(tree):
        if field in UNSEEN or isinstance(tree, ast.Import | ast.ImportFrom | ast.JoinedStr):
            continue
        if isinstance(tree, ast.keyword) and tree.arg in SILENT_KEYWORDS:
            continue
        for at, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_docstring(node):
                continue
            statement = node if isinstance(node, ast.stmt) or inside is None else inside
            yield node, _put(tree, field, at), statement
            if not isinstance(node, ast.Raise | ast.AnnAssign):
                yield from places(node, statement)


def _put(parent: ast.AST, field: str, at: int | None) -> Put:
    def put(new: ast.AST) -> None:
        if at is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[at] = new

    return put


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def changes(node: ast.AST) -> list[ast.AST]:
    """List the replacements of a node."""
    for kind, change in CHANGES.items():
        if isinstance(node, kind):
            return change(node)
    return []


def _compare(node: Any) -> list[ast.AST]:
    return [_with_op(node, at, COMPARED[type(op)]()) for at, op in enumerate(node.ops)]


def _with_op(node: Any, at: int, op: ast.cmpop) -> ast.AST:
    new = deepcopy(node)
    new.ops[at] = op
    return new


def _computed(node: Any) -> list[ast.AST]:
    new = deepcopy(node)
    if type(node.op) not in COMPUTED:
        return []
    new.op = COMPUTED[type(node.op)]()
    return [new]


def _augmented(node: Any) -> list[ast.AST]:
    return [*_computed(node), ast.Pass()]


def _joined(node: Any) -> list[ast.AST]:
    new = deepcopy(node)
    new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return [new]


def _constant(node: Any) -> list[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        return [ast.Constant(not value)]
    if isinstance(value, int):
        return [ast.Constant(value + 1), ast.Constant(value - 1)]
    if isinstance(value, float):
        return [ast.Constant(value + 1.0), *([ast.Constant(value / 2)] if value else [])]
    return [ast.Constant(value + "_")] if isinstance(value, str) else []


def _called(node: Any) -> list[ast.AST]:
    found: list[ast.AST] = []
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in CALLED:
        new = deepcopy(node)
        setattr(new.func, "attr" if isinstance(node.func, ast.Attribute) else "id", CALLED[name])
        found.append(new)
    for at, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg not in SILENT_KEYWORDS:
            new = deepcopy(node)
            del new.keywords[at]
            found.append(new)
    return found


def _conditional(node: Any) -> list[ast.AST]:
    found: list[ast.AST] = []
    for truth in (True, False):
        new = deepcopy(node)
        new.test = ast.Constant(truth)
        found.append(new)
    return found


def _filtered(node: Any) -> list[ast.AST]:
    found: list[ast.AST] = []
    for at in range(len(node.ifs)):
        new = deepcopy(node)
        del new.ifs[at]
        found.append(new)
    return found


CHANGES: dict[type[ast.AST], Callable[[Any], list[ast.AST]]] = {
    ast.Compare: _compare,
    ast.BinOp: _computed,
    ast.AugAssign: _augmented,
    ast.BoolOp: _joined,
    ast.UnaryOp: lambda node: [node.operand],
    ast.Constant: _constant,
    ast.Call: _called,
    ast.If: _conditional,
    ast.IfExp: lambda node: [node.body, node.orelse],
    ast.comprehension: _filtered,
    ast.Expr: lambda _: [ast.Pass()],
    ast.Raise: lambda _: [ast.Pass()],
    ast.Break: lambda _: [ast.Pass()],
    ast.Continue: lambda _: [ast.Pass()],
}


def mutants(module: str) -> Iterator[tuple[Mutant, CodeType]]:
    """Yield every mutant of a module with its code, one for each key."""
    path = path_of(module)
    source = path.read_text()
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    bodies = [(function.body[0].lineno, function.end_lineno or 0) for function in functions]
    seen: set[str] = set()
    for place in range(sum(1 for _ in places(ast.parse(source)))):
        tree = ast.parse(source)
        node, put, before = next(islice(places(tree), place, None))
        shown = _source_of(before)
        for new in changes(node):
            put(new)
            lines = before.lineno, before.end_lineno or before.lineno
            outside = not any(first <= lines[0] <= last for first, last in bodies)
            mutant = Mutant(module, *lines, outside, shown, _source_of(before, node, new))
            if mutant.key not in seen:
                seen.add(mutant.key)
                yield mutant, compile(ast.fix_missing_locations(tree), str(path), "exec")
            put(node)


def _source_of(statement: ast.AST, node: ast.AST | None = None, new: ast.AST | None = None) -> str:
    """The statement's own line, without the lines below it; or a new one in its place."""
    shown = deepcopy(new) if node is statement and new is not None else deepcopy(statement)
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        if isinstance(getattr(shown, block, None), list):
            setattr(shown, block, [])
    return " ".join(ast.unparse(ast.fix_missing_locations(shown)).split())
