import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_engine_alone_prints_what_its_docstring_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = runpy.run_path(str(EXAMPLES / "rebalance.py"), run_name="__main__")

    shown = str(module["__doc__"]).partition("$ python examples/rebalance.py\n")[2]
    assert capsys.readouterr().out == shown
