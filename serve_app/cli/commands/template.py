"""`ordergen template`: example files for `ordergen optimize`."""

from pathlib import Path

import typer

from serve_app.cli.exit_codes import report_errors

commands = typer.Typer()


@commands.command()
def template(directory: Path) -> None:
    """Write example files for `optimize` into a directory; none is replaced."""
    with report_errors():
        from serve_app.cli.output import say
        from serve_app.files.template import build_template_files

        files = {directory / name: data for name, data in build_template_files().items()}
        present = [str(path) for path in files if path.exists()]
        if present:
            raise typer.BadParameter(f"{', '.join(present)} would be replaced: name another one")
        directory.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            path.write_bytes(data)
            say(f"{path}: {len(data):,} bytes")
        say(f"try: ordergen optimize {directory / 'accounts.xlsx'} -o {directory / 'trades.xlsx'}")
