"""Model editing: a person edits the text of a model until the service accepts it."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from serve_app.cli.arguments import require_utf_8
from serve_app.cli.editor import edit_file
from serve_app.cli.exit_codes import CommandError, Ending
from serve_app.cli.model_text import read_model_text, require_members, write_model_text
from serve_app.cli.names import look_up_names
from serve_app.cli.output import say

if TYPE_CHECKING:
    from serve_app.client import Client, Model

REASON_MARK: Final = "#! "  # begins the lines that say why a text was refused
CORRECTABLE: Final = frozenset({400, 409, 413, 422})


def edit_model(client: "Client", stored: "Model") -> "Model":
    """Open a model in the editor and store it; open the editor again after a refusal.

    A refusal ends the command where there is no terminal, or if another caller changed the model
    meanwhile. A text that was not stored is kept in a file.
    """
    ids = [position.security_id for position in stored.positions]
    names = look_up_names(client, portfolio_ids=stored.portfolios, security_ids=ids)
    path = _create_file()
    text, reasons = write_model_text(stored, names), list[str]()
    while True:
        draft = "".join(f"{REASON_MARK}{line}\n" for line in reasons) + text
        path.write_text(draft, encoding="utf-8")
        edit_file(path)
        with require_utf_8(str(path)):
            edited = path.read_text(encoding="utf-8")
        if edited == draft and not reasons:
            path.unlink()
            say("nothing was changed")
            return stored
        if edited == draft:
            raise CommandError(Ending.REFUSED, f"nothing was stored; the text is kept in {path}")
        text = _strip_reasons(edited)
        try:
            saved = client.replace_model(_read_change(stored, text))
        except Exception as error:
            reasons = _find_reasons(error)
            if not (reasons and sys.stdin.isatty()):
                say(f"the text is kept in {path}")
                raise
        else:
            path.unlink()
            return saved


def _create_file() -> Path:
    with tempfile.NamedTemporaryFile(prefix="ordergen-", suffix=".json", delete=False) as file:
        return Path(file.name)


def _strip_reasons(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(REASON_MARK.strip()))


def _read_change(stored: "Model", text: str) -> "Model":
    """Read the text of a model as a change of the version that was opened."""
    # The reason of a refusal stands above the text when a person sees it again.
    members = read_model_text(text, lines_above=int(sys.stdin.isatty()))
    require_members(members, "name", "positions", "portfolios")
    # Empty rather than absent, because the service keeps options that a request leaves out.
    none = None if stored.rebalance_options is None else {}
    return replace(
        stored,
        name=members["name"],
        # Passed on as they are, because the service checks them and names each fault by place.
        positions=cast("Any", tuple(members["positions"])),
        portfolios=tuple(members["portfolios"]),
        rebalance_options=members.get("rebalance_options", none),
    )


def _find_reasons(error: Exception) -> list[str]:
    """List why a text was refused; nothing if no change of the text would help."""
    from serve_app.cli.problem_text import list_refusal_lines
    from serve_app.client import ProblemError

    match error:
        case CommandError():
            return [error.detail]
        case ProblemError(type="/problems/stale-version" | "/problems/precondition-failed"):
            return []
        case ProblemError(status=status) if status in CORRECTABLE:
            return list_refusal_lines(error)
        case _:
            return []
