"""Writes the reference in docs/: the OpenAPI document, and a page for every kind of problem.

python -m serve_app.api.reference           writes what is missing or old
python -m serve_app.api.reference --check   writes nothing, and fails if something would be written
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve_app.api.app import api_app
from serve_app.api.openapi.problem_answers import MEDIA_TYPE
from serve_app.api.routes.problem_pages import index_page, problem_page
from serve_app.json_text import Json
from serve_app.problems.catalogue import KINDS
from serve_app.settings import Settings

DOCS = Path("docs")
PROBLEMS = Path("problems")


def reference() -> dict[Path, str]:
    """The text of every file, by its path in docs/."""
    document = openapi()
    answers = _answered(document)
    pages = {
        PROBLEMS / f"{kind.slug}.md": problem_page(
            "problem.md.j2", kind, answers.get(kind.slug, ())
        )
        for kind in KINDS.values()
    }
    text = json.dumps(_sorted(document), indent=1, ensure_ascii=False)
    return {
        Path("openapi.json"): f"{text}\n",
        PROBLEMS / "index.md": index_page("problems.md.j2"),
        **pages,
    }


def openapi() -> Json:
    """The document, which neither a setting nor a collaborator changes."""
    nobody: Any = None
    return api_app(Settings.model_construct(), nobody).openapi()


def _sorted(part: Any) -> Any:
    """The document with its names sorted, because the framework orders some by chance; examples stay."""
    if isinstance(part, dict):
        return {
            name: part[name] if name in ("example", "examples") else _sorted(part[name])
            for name in sorted(part)
        }
    return [_sorted(each) for each in part] if isinstance(part, list) else part


def _answered(document: Json) -> Mapping[str, list[str]]:
    """The routes by the kinds of problems that they answer."""
    found: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for answer in operation["responses"].values():
                for slug in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ()):
                    found.setdefault(slug, []).append(f"{method.upper()} {path}")
    return found


def stale(docs: Path) -> dict[Path, str | None]:
    """What has to be written, by its path; None for a page whose problem is gone."""
    wanted = {docs / path: text for path, text in reference().items()}
    gone = dict.fromkeys(set((docs / PROBLEMS).glob("*.md")) - wanted.keys())
    old = {
        path: text
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    return {**old, **gone}


def main(arguments: list[str]) -> int:
    """Write, or with --check say what is old."""
    changes = stale(DOCS)
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
