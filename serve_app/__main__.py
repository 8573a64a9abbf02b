"""Entry point of `ordergen`; an install without the extra `serve` gets one line that names it."""

import sys

DISTRIBUTION = "order-generation-service"
OWN_PACKAGES = frozenset({"serve_app", "storage", "optimization"})


def main() -> None:
    """Run `ordergen`, or name the extra that it needs in one line (exit code 2).

    The libraries are imported when a command runs, so one that is missing may show only then.
    """
    try:
        from serve_app.cli import cli

        cli()
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in OWN_PACKAGES:
            raise
        sys.stderr.write(
            f"ordergen: {library} is missing, because commands need the extra serve:"
            f" pip install '{DISTRIBUTION}[serve]'\n"
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
