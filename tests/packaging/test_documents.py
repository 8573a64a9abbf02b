import re
from pathlib import Path
from typing import Any, cast

import pytest

from serve_app.api.app import api_app
from serve_app.api.reference import find_stale
from serve_app.api.routes.problem_pages import problem_page
from serve_app.problems.catalogue import KINDS
from serve_app.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("kuberay/*.md")],
)
API = ROOT / "docs/reference/api.md"
FOLDERS = "benchmarks|container|docs|examples|kuberay|optimization|serve_app|storage|tests"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]*[\w]")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken: list[str] = []
    for link in LINK.findall(document.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, heading = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (heading and heading not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_every_page_of_the_documentation_is_linked_from_its_index() -> None:
    linked = set(LINK.findall((ROOT / "docs/index.md").read_text()))

    pages = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    of_a_problem = {page for page in pages if page.startswith("problems/")}
    assert pages - of_a_problem - {"index.md"} <= linked


def test_no_page_of_the_site_links_to_a_file_beside_the_site() -> None:
    outside = [
        (str(page.relative_to(ROOT)), link)
        for page in ROOT.glob("docs/**/*.md")
        for link in LINK.findall(page.read_text())
        if not link.startswith(("http://", "https://", "#"))
        and not (page.parent / link.partition("#")[0]).resolve().is_relative_to(ROOT / "docs")
    ]

    assert outside == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_of_the_repository_that_a_document_names_exists(document: Path) -> None:
    paths = set(PATH.findall(document.read_text()))

    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_the_table_of_settings_has_every_setting_with_its_default_and_rule() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    rows = [
        row.split(" | ")[:3] for row in re.findall(r"^\| (`[A-Z_]+` .*) \|$", text, re.MULTILINE)
    ]

    assert [" | ".join(row) for row in rows] == [row_of(name) for name in Settings.names()]


def test_the_page_of_the_api_names_every_route() -> None:
    paths: dict[str, Any] = api_app(read_settings(), cast("Any", None)).openapi()["paths"]
    served = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in paths.items()
        for method in methods
    }
    routes = {
        f"{method} {path}"
        for row in re.findall(
            r"^\| ([A-Z]+(?:, [A-Z]+)* /[^|]*?) \|", API.read_text(), re.MULTILINE
        )
        for methods, paths in [row.split(" /", 1)]
        for method in methods.split(", ")
        for path in f"/{paths}".split(", ")
    }

    assert served <= routes
    assert all(
        re.search(r"/(docs|redoc|openapi\.json|problems)", extra) for extra in routes - served
    )


def test_the_page_of_the_api_names_every_kind_of_problem_under_its_status() -> None:
    table = API.read_text().partition("| status | types |")[2].partition("\n\n")[0]
    codes = {
        (int(status), slug)
        for status, slugs in re.findall(r"^\| (\d{3}) \| (.+) \|$", table, re.MULTILINE)
        for slug in slugs.split(", ")
    }

    assert codes == {(kind.status, kind.code) for kind in KINDS.values()}


def test_every_kind_of_problem_has_its_page_and_every_page_its_kind() -> None:
    pages = {path.stem for path in (ROOT / "docs/problems").glob("*.md")} - {"index"}

    assert pages == KINDS.keys()
    assert all(
        f"# {kind.title}\n" in problem_page("problem.md.j2", kind) for kind in KINDS.values()
    )


def test_the_reference_is_what_the_code_says() -> None:
    old = [str(path.relative_to(ROOT)) for path in find_stale(ROOT / "docs")]

    assert old == [], "make openapi"


def row_of(name: str) -> str:
    """Build the first three cells of a setting's row."""
    field = Settings.model_fields[name]
    rule = (field.description or "").replace("|", "\\|")
    return f"`{name.upper()}` | {default_text(field.default)} | {rule}"


def default_text(default: object) -> str:
    if default in (None, ()):
        return "unset"
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"`{default}`"


def anchors(document: Path) -> set[str]:
    """List the headings of a document in the form of GitHub's link anchors."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
