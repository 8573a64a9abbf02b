"""The language of the code and of the pages, as far as a machine can see it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Pages that a person writes: those of problems are made from the catalogue.
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("kuberay/*.md"))
    if page.parent.name != "problems"
)
PAGE_COLUMNS = 120
CODE_COLUMNS = 100  # ruff lets pragmas and addresses go beyond
MIN_WORDS = 3  # of the shortest sentence: a subject, a verb and what is said
CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\([^)]*\)|https?://\S+|^\[[^\]]+\]: ")
FOLDERS = ("optimization", "storage", "serve_app", "tests", "benchmarks", "container", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Openings of a docstring that asks, or that depends on the text before it.
UNCLEAR = re.compile(r"(What|Where|Whoever|That|Likewise|The same)\b")
# Names of bounds without MAX or MIN and a noun.
WITHOUT_SUBJECT = re.compile(
    r"_?(MOST|LONGEST|LEAST|SMALLEST|LOWEST|LARGEST|HIGHEST|FEWEST)(_\w+)?"
    r"|(\w+_)?AT_(A_TIME|ONCE)|LISTED"
)


def test_no_docstring_begins_with_a_question_or_a_pointer() -> None:
    faults = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in SOURCES
        for text in docstrings(path)
        if UNCLEAR.match(text)
    ]

    assert faults == []


def test_constants_of_bounds_say_max_or_min_and_of_what() -> None:
    faults = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        for name in constants(path)
        if WITHOUT_SUBJECT.fullmatch(name)
    ]

    assert faults == []


def test_no_line_of_code_is_longer_than_100_columns_with_its_pragmas() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > CODE_COLUMNS
    ]

    assert faults == []


def test_the_name_of_a_test_has_three_words_at_least() -> None:
    faults = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
        if len(name.split("_")) < 1 + MIN_WORDS
    ]

    assert faults == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_of_prose_is_longer_than_120_columns(page: Path) -> None:
    text = CODE.sub(lambda code: "\n" * code[0].count("\n"), page.read_text())
    faults = [
        f"{number}: {len(line)}"
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > PAGE_COLUMNS and not line.lstrip().startswith("|") and not LINK.search(line)
    ]

    assert faults == []


def docstrings(path: Path) -> Iterator[str]:
    """List the docstrings of a module, its classes and its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def constants(path: Path) -> Iterator[str]:
    """List the names in capitals that a module assigns."""
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        for target in targets:
            names = (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
            yield from (name for name in names if name.isupper())
