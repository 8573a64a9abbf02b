"""Arguments and client that several commands share."""

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.completions import complete_models, complete_rebalances

if TYPE_CHECKING:
    from serve_app.client import Client

URL = "http://127.0.0.1:8088"
RETRY_S = 5.0  # short, because a person waits
TIMEOUT_S = 120.0

Url = Annotated[
    str, typer.Option(envvar="ORDERGEN_URL", help="URL of the service", show_default=URL)
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="ORDERGEN_TOKEN",
        show_default=False,
        help="API key or token; or its file in ORDERGEN_TOKEN_FILE, which keeps it out of lists",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.1,
        max=3600,
        metavar="SECONDS",
        help="until an answer begins; the service ends its work then",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs, with exact numbers")]
Most = Annotated[int, typer.Option("--limit", min=1, help="maximum number of rows")]
Wide = Annotated[bool, typer.Option("--wide", help="whole lines, however narrow the terminal is")]
OptionsText = Annotated[
    str | None,
    typer.Option("--options", help='options as JSON, {"cash_floor": "2%"}, or @FILE'),
]
ModelId = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL_ID", help="a model", autocompletion=complete_models),
]
RebalanceId = Annotated[
    str, typer.Argument(metavar="REBALANCE_ID", autocompletion=complete_rebalances)
]
Version = Annotated[
    int | None,
    typer.Option("--version", min=1, help="the version that was read; unset: the stored one"),
]
PortfolioId = Annotated[
    str | None, typer.Option("--portfolio", metavar="PORTFOLIO_ID", help="a single portfolio")
]


def build_client(url: str, timeout_s: float, token: str | None) -> "Client":
    """Build a client with short retries; its token is ``token``, or from environment or login."""
    from serve_app.client import Client
    from serve_app.client.saved_login import saved_token
    from serve_app.client.tokens import authorities_from_environment, token_from_environment

    # Retries are not logged, because they are no news to a person.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    secret = token or token_from_environment() or saved_token(url)
    authorities = authorities_from_environment()
    try:
        return Client(url, token=secret, ca_file=authorities, timeout_s=timeout_s, retry_s=RETRY_S)
    except OSError as error:
        reason = f"ORDERGEN_CA_FILE {authorities} cannot be used: {error.strerror or error}"
        raise typer.BadParameter(reason) from error


def parse_options(text: str | None) -> Any:
    """Parse the options of a command line; raise BadParameter unless they are a JSON object."""
    if text is None:
        return None
    if text.startswith("@"):
        with require_utf_8(text[1:]):
            text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        options = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"--options is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise typer.BadParameter("--options is an object of options by name")
    return options


@contextmanager
def require_utf_8(file: str) -> Generator[None]:
    """Translate the error of decoding a file into BadParameter, which names the file."""
    try:
        yield
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise typer.BadParameter(f"{file}: byte 0x{byte:02X} is no UTF-8") from error


def parse_decimal(option: str, text: str | None, kind: str) -> Decimal | None:
    """Parse the number of an option; raise BadParameter, which names ``kind``, without one."""
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{option} is {kind}") from None


def require_one(model_id: str | None, portfolio_id: str | None) -> None:
    """Raise BadParameter unless a command names a model or a portfolio."""
    if model_id is None and portfolio_id is None:
        raise typer.BadParameter("give --model MODEL_ID or --portfolio PORTFOLIO_ID")
