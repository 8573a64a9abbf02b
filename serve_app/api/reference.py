"""Generator of the reference in docs/: the OpenAPI document, and a page per kind of problem.

python -m serve_app.api.reference           writes what is missing or old
python -m serve_app.api.reference --check   writes nothing, and fails if something would be written
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.api.openapi.problem_answers import MEDIA_TYPE
from serve_app.api.routes.problem_pages import index_page, problem_page
from serve_app.json_text import Json
from serve_app.problems.catalogue import KINDS
from serve_app.settings import Settings

DOCS = Path("docs")
PROBLEMS = Path("problems")


def build_files() -> dict[Path, str]:
    """Generate the text of every file, by its path in docs/."""
    document = openapi()
    answers = _group_routes(document)
    pages = {
        PROBLEMS / f"{kind.code}.md": problem_page(
            "problem.md.j2", kind, answers.get(kind.code, ())
        )
        for kind in KINDS.values()
    }
    text = json.dumps(_sort(document), indent=1, ensure_ascii=False)
    return {
        Path("openapi.json"): f"{text}\n",
        PROBLEMS / "index.md": index_page("problems.md.j2"),
        **pages,
    }


def openapi() -> Json:
    """Generate the document of a service that authenticates its callers, without any port."""
    nobody: Any = None
    ports = Ports(nobody, nobody, {}, nobody)
    return api_app(Settings.model_construct(auth="keys"), ports).openapi()


def _sort(part: Any) -> Any:
    """Sort names outside examples, because the framework orders some by chance."""
    if isinstance(part, dict):
        return {
            name: part[name] if name in ("example", "examples") else _sort(part[name])
            for name in sorted(part)
        }
    return [_sort(element) for element in part] if isinstance(part, list) else part


def _group_routes(document: Json) -> Mapping[str, list[str]]:
    """Group routes by the kinds of problems they answer."""
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for answer in operation["responses"].values():
                for slug in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ()):
                    groups.setdefault(slug, []).append(f"{method.upper()} {path}")
    return groups


def find_stale(docs: Path) -> dict[Path, str | None]:
    """Find the files to write, by path; None for a page whose problem is gone."""
    texts = {docs / path: text for path, text in build_files().items()}
    gone = dict.fromkeys(set((docs / PROBLEMS).glob("*.md")) - texts.keys())
    old = {
        path: text
        for path, text in texts.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    return {**old, **gone}


def main(arguments: list[str]) -> int:
    """Write the files, or with --check report outdated ones."""
    changes = find_stale(DOCS)
    if arguments == ["--check"]:
        for path in sorted(changes):
            print(f"{path} is not what the code says: make openapi")  # noqa: T201
        return 1 if changes else 0
    for path, text in changes.items():
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
