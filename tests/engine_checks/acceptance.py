"""Random rebalancing problems sent to the service over HTTP, every answer checked independently.

    python tests/engine_checks/acceptance.py [--problems 500] [--seed 2]

The script starts the service on a free port with its own database and upstreams, and ends with an
AssertionError at the first wrong answer.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from serve_app.launch.launcher import format_url, run_service
from serve_app.launch.preflight import read_configuration
from serve_app.settings import Settings
from serve_app.simulator import Market
from storage.embedded.free_port import free_port
from tests.end_to_end.acceptance import check_all_answers
from tests.end_to_end.book import Book, serve_book

CONFIG = Path(__file__).parents[2] / "serve_config.yaml"
console = Console()


async def put(settings: Settings, book: Book, problems: int, seed: int) -> Counter[str]:
    """Send all problems to the running service, and count the answers by kind."""
    url = format_url(settings)
    async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as http:
        return await check_all_answers(http, book, problems, seed)


def main() -> None:
    """Start the service, send the problems, print the counts of the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"problems": 500, "seed": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    book = Book(Market(seed=11, portfolios=0, sampled=False))
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="order-generation-") as directory,
        serve_book(book) as url,
    ):
        upstreams = ("portfolio_accounting", "pricing", "security", "portfolio", "order")
        given = {f"{upstream}_service_url": url for upstream in upstreams}
        own = {"port": port, "data_directory": directory}
        settings, content = read_configuration(CONFIG, {**given, **own})
        with run_service(settings, content, console.print) as complete:
            kinds = asyncio.run(put(complete, book, arguments.problems, arguments.seed))
    table = Table("answer, and how it is known to be right", "problems")
    for kind, number in kinds.most_common():
        table.add_row(kind, str(number))
    console.print(table)


if __name__ == "__main__":
    main()
