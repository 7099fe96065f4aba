from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from tests.toys import TOY_EVALUATORS

AWKWARD = '''
from nas.core.errors import InputError

class Some:
    """Fails for some genotypes, with words that HTML must not take for its own."""
    def evaluate(self, architecture, network):
        if sum(architecture.genes) % 5 == 0:
            raise ValueError(f"<script>alert({sum(architecture.genes)})</script> & no luck")
        return {"accuracy": 0.5 + 0.01 * architecture.genes[0] + 0.001 * sum(architecture.genes)}
'''


@pytest.fixture(scope="session")
def predicted_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search by the ImageNet surrogate."""
    path = tmp_path_factory.mktemp("runs") / "predicted"
    invoke("search", "--target-flops", "400M", "--trials", "120", "--out", str(path))
    return path


@pytest.fixture(scope="session")
def failing_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with an evaluator of one's own, which fails for some networks."""
    folder = tmp_path_factory.mktemp("awkward")
    (folder / "awkward.py").write_text(TOY_EVALUATORS + AWKWARD)
    path = folder / "failing"
    scored = ("--space", "small-images", "--evaluator", f"{folder}/awkward.py:Some", "--workers", "0")
    invoke("search", *scored, "--trials", "30", "--controller", "random", "--out", str(path))
    return path


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output
