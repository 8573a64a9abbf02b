import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_engine_alone_prints_what_its_docstring_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = runpy.run_path(str(EXAMPLES / "rebalance.py"), run_name="__main__")

    output = str(module["__doc__"]).partition("$ python examples/rebalance.py\n")[2]
    assert capsys.readouterr().out == output


def test_the_pictures_are_what_the_engine_draws() -> None:
    drawn = runpy.run_path(str(EXAMPLES / "draw_pictures.py"))

    for name, draw in drawn["PICTURES"].items():
        assert (drawn["FOLDER"] / name).read_text() == draw(), "python examples/draw_pictures.py"
