"""The notebooks of the examples run from the first cell to the last."""

import doctest
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# In a process of its own, because the warnings of Jupyter's libraries are not ours.
RUN = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, resources={"metadata": {"path": sys.argv[2]}}).execute()
nbformat.write(notebook, sys.argv[3])
"""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("household", ["Joint: REBALANCED", "frozen names GDL", "Anna 401k", "image/png"]),
        ("index_what_if", ["trades of 500 and more", "image/png"]),
    ],
)
def test_a_notebook_runs_and_shows_its_results(tmp_path: Path, name: str, shown: list[str]) -> None:
    executed = tmp_path / "executed.ipynb"
    result = subprocess.run(
        [sys.executable, "-c", RUN, EXAMPLES / f"{name}.ipynb", EXAMPLES, executed],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert result.returncode == 0, result.stderr[-3000:]
    outputs = json.dumps([cell["outputs"] for cell in code_cells(executed)])
    assert [text for text in shown if text not in outputs] == []


@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_its_outputs(notebook: Path) -> None:
    assert all(
        (cell["outputs"], cell["execution_count"]) == ([], None) for cell in code_cells(notebook)
    )


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    return [
        cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"
    ]


def test_the_page_from_a_data_frame_to_a_plot_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    page = EXAMPLES.parent / "docs/how-to/use-data-frames.md"

    results = doctest.testfile(str(page), module_relative=False, raise_on_error=True)

    assert results.attempted > 12
