"""Print the section of a release in CHANGELOG.md: release_notes.py v0.1.0.

Fails with one line if pyproject.toml has another version, or if the section is missing, empty or
without a date.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAD = re.compile(r"^## \[(?P<version>[^\]]+)\] - (?P<date>.+)$", re.MULTILINE)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def release_notes(tag: str, root: Path = ROOT) -> str:
    """Return the text below the head of the release; raises ValueError with the reason."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if tag != f"v{version}":
        raise ValueError(f"the tag {tag} is not v{version}, the version in pyproject.toml")
    changelog = (root / "CHANGELOG.md").read_text()
    heads = list(HEAD.finditer(changelog))
    for number, head in enumerate(heads):
        if head["version"] == version:
            if not DATE.fullmatch(head["date"]):
                raise ValueError(f"{version} in CHANGELOG.md is dated {head['date']!r}")
            end = heads[number + 1].start() if number + 1 < len(heads) else len(changelog)
            if notes := changelog[head.end() : end].strip():
                return notes
            raise ValueError(f"{version} has no entries in CHANGELOG.md")
    raise ValueError(f"{version} has no section in CHANGELOG.md")


if __name__ == "__main__":
    try:
        print(release_notes(*sys.argv[1:2]))
    except ValueError as error:
        sys.exit(f"release: {error}")
