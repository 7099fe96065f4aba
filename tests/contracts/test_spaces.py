"""The space contract: every shipped space keeps it, and every way of breaking it is caught with the place named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from nas.cli.app import app
from nas.core.errors import InputError
from nas.evaluate.cost.space_statistics import survey
from nas.search_spaces.catalogue import load_space, space_names
from nas.testing.spaces import SPACE_CHECKS, run_space_checks, take_samples
from tests.toys import TINY_FORM, TOY_EVALUATORS

RUNNER = CliRunner()


@pytest.mark.parametrize("name", space_names())
def test_shipped_spaces_keep_the_contract(name: str) -> None:
    probe = take_samples(load_space(name), 3, seed=1)
    assert list(run_space_checks(probe)) == list(SPACE_CHECKS) and not probe.notes and not probe.unusable


def test_samples_hold_every_option_of_every_gene() -> None:
    probe = take_samples(load_space("mnasnet-wide"), 0, seed=0)
    for gene, count in enumerate(probe.space.gene_sizes):
        assert {architecture.genes[gene] for architecture in probe.samples} == set(range(count))


GOOD = """
import torch
from torch import nn

class Residual(nn.Module):
    def __init__(self, width, stride):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, 1, 1)
        self.second = nn.Conv2d(width, width, 3, {stride}, 1)
    def forward(self, maps):
        return maps + self.second(self.first(maps).relu())

class Space:
    name, resolution, gene_sizes = "mine", 16, (3, 2)
    gene_names = ("width", "depth")
    def build(self, architecture):
        {crash}
        width, depth = 8 * (1 + architecture.genes[0]), 1 + architecture.genes[1]
        layers = [nn.Conv2d(3, width, 3, 2, 1), *(Residual({inner}, 1) for _ in range(depth))]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    def costs(self, genes):
        width, depth = 8 * (1 + genes[:, 0]), 1 + genes[:, 1]
        macs = width * 27 * 64 + depth * 2 * width * width * 9 * 64 + width * 10 {macs}
        params = width * 28 + depth * 2 * (width * width * 9 + width) + width * 10 + 10
        return {{"macs": macs, "params": params}}
"""


def python_space(tmp_path: Path, **changes: str) -> str:
    parts = {"stride": "1", "crash": "pass", "inner": "width", "macs": ""} | changes
    (tmp_path / "mine.py").write_text(GOOD.format(**parts))
    return f"{tmp_path}/mine.py:Space"


def yaml_space(tmp_path: Path, text: str) -> str:
    (tmp_path / "mine.yaml").write_text(text)
    return f"{tmp_path}/mine.yaml"


def with_stage(index: int, **changes: object) -> str:
    stages = [dict(stage) for stage in TINY_FORM["stages"]]
    stages[index] |= changes
    return yaml.safe_dump(TINY_FORM | {"stages": stages}, sort_keys=False)


def test_a_users_space_that_keeps_it(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["check", python_space(tmp_path), "--targets", "400K,40M", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["ok"] and document["architectures"] == 6 and document["passed"] == list(SPACE_CHECKS)
    assert document["ranges"]["params"][0] == 8 * 28 + 2 * (8 * 8 * 9 + 8) + 90


DECODED = """
from nas.search_spaces import Head, Network, Stage, Stem

class Space:
    name, gene_sizes = "decoded", (2, 2)
    def __init__(self):
        self.calls = 0
    def decode(self, architecture):
        self.calls += 1
        stages = (Stage(channels=8, stride=2, layers=1 + architecture.genes[0]), Stage({second}))
        return Network(32, 10, Stem(channels=8), stages, Head(channels=16))
    {more}
"""

BROKEN = {
    "wrong channel arithmetic": (
        "python",
        {"inner": "width + 1"},
        [
            "modules build, run and train",
            "genes (0, 0)",
            "failed in '1.first' (Conv2d)",
            "to have 9 channels, but got 8",
        ],
    ),
    "an unhashable option": (
        "yaml",
        with_stage(0, kernel=[3, [5]]),
        ["stages[0].kernel", "expected plain values", "[5]"],
    ),
    "unhashable choices": (
        "python",
        {
            "macs": "\n    def choices(self, architecture):"
            "\n        return {'width': [1, 2], 'depth': 1}\n    def other(self):"
        },
        ["names and choices", "'width'", "expected a plain value", "[1, 2]"],
    ),
    "a build that crashes": (
        "python",
        {"crash": "assert architecture.genes != (2, 1), 'no such width'"},
        ["genes (2, 1)", "no such width", "mine.py, line 17"],
    ),
    "a stride on the wrong layer of a module": (
        "python",
        {"stride": "2"},
        ["genes (0, 0)", "failed in '1' (Residual)", "must match", "mine.py, line 11"],
    ),
    "a stride on the wrong layer of a table": (
        "yaml",
        yaml.safe_dump(TINY_FORM | {"resolution": 2}, sort_keys=False),
        ["stages[1].stride: expected 1, got 2 on a 1x1 map"],
    ),
    "costs that disagree": (
        "python",
        {"macs": "+ (genes[:, 1] == 1)"},
        [
            "costs equal the modules'",
            "genes (2, 1)",
            "macs: costs say",
            "but the built module has",
            "MACs of its parts: 0",
        ],
    ),
    "zero options": ("yaml", with_stage(0, kernel=[]), ["stages[0].kernel: expected at least one option"]),
    "duplicate keys": (
        "yaml",
        yaml.safe_dump(TINY_FORM, sort_keys=False).replace("  kernel: 3\n", "  kernel: 3\n  kernel: 5\n"),
        ["line 7", "the key 'kernel' occurs twice"],
    ),
    "duplicate options": ("yaml", with_stage(0, kernel=[3, 3]), ["stages[0].kernel", "option 3 occurs twice"]),
    "duplicate gene names": (
        "python",
        {"macs": "\n    gene_names = ('width', 'width')\n    def other(self):"},
        ["gene_names: 'width' occurs twice"],
    ),
    "costs of the wrong shape": (
        "python",
        {"macs": "\n        macs = macs[:1]"},
        ["costs(genes)['macs']", "expected an array of shape (n,)"],
    ),
    "no logits": ("python", {"crash": "return nn.Conv2d(3, 8, 3)"}, ["expected logits of shape (batch, classes)"]),
    "no module": ("python", {"crash": "return 7"}, ["expected a torch.nn.Module, got a int"]),
    "no parameters": (
        "python",
        {"crash": "return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())"},
        ["the logits depend on no parameter"],
    ),
    "another table each time": (
        "decoded",
        {"second": "channels=8 * (1 + self.calls % 2)", "more": ""},
        ["decodes to stage tables", "genes (0, 0)", "another stage table the second time"],
    ),
    "a decode that crashes": (
        "decoded",
        {"second": "channels=[8, 16][2 * architecture.genes[1]]", "more": ""},
        ["genes (1, 1)", "IndexError", "mine.py, line 10"],
    ),
    "no genotype that makes a network": (
        "decoded",
        {"second": "channels=0", "more": ""},
        ["genes (0, 0)", "no genotype makes a network", "stages[1].channels"],
    ),
    "costs that depend on their neighbours": (
        "decoded",
        {
            "second": "channels=8",
            "more": "def costs(self, genes):\n        return {'energy': genes[:, 0] + len(genes)}",
        },
        ["costs equal the modules'", "energy is", "among other genotypes"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_every_breach_is_caught_with_its_place(name: str, tmp_path: Path) -> None:
    kind, change, words = BROKEN[name]
    if kind == "yaml":
        assert isinstance(change, str)
        reference = yaml_space(tmp_path, change)
    else:
        assert isinstance(change, dict)
        if kind == "decoded":
            (tmp_path / "mine.py").write_text(DECODED.format(**change))
        reference = python_space(tmp_path, **change) if kind == "python" else f"{tmp_path}/mine.py:Space"
    result = RUNNER.invoke(app, ["check", reference, "--json"])
    assert result.exit_code == 2, result.output
    for word in words:
        assert word in result.stderr, result.stderr
    assert "Traceback" not in result.output
    document = json.loads(result.stdout)
    assert document["ok"] is False and words[-1] in document["violation"]


def test_genotypes_that_make_no_network_are_noted(tmp_path: Path) -> None:
    second = "channels=8, stride=2 if architecture.genes[1] else 1, kernel=3 - architecture.genes[1]"
    (tmp_path / "mine.py").write_text(DECODED.format(second=second, more=""))
    result = RUNNER.invoke(app, ["check", f"{tmp_path}/mine.py:Space"])
    assert result.exit_code == 0, result.output
    assert "make no network" in result.stdout and "stages[1].kernel: expected an odd number" in result.stdout


def test_functional_layers_are_counted_and_thops_blindness_noted(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3))\n"
        "        self.fc = nn.Linear(8, 10)\n"
        "    def forward(self, x):\n"
        "        return self.fc(nn.functional.conv2d(x, self.weight).mean((2, 3)))\n"
        "class Space:\n    name, gene_sizes, resolution = 'functional', (2,), 10\n"
        "    def build(self, architecture):\n        return Net()\n"
    )
    result = RUNNER.invoke(app, ["check", f"{tmp_path}/mine.py:Space"])
    assert result.exit_code == 0, result.output
    assert f"thop counts 80 MACs where torch counts {8 * 27 * 64 + 80:,}" in result.stdout


def test_targets_out_of_reach_come_with_a_width_that_reaches_them() -> None:
    space = load_space("efficientnet")
    found = survey(space, [], [40e6, 400e6, 2e9])
    below, inside, above = found.shares
    assert "below this space's floor of 51,594,768 MACs; width 0.8 reaches it" in below.hint
    assert inside.share == pytest.approx(0.242, abs=0.02) and not inside.hint
    assert "above this space's ceiling" in above.hint
    width = float(above.hint.split("width ")[1].split(" ")[0])
    from nas.evaluate.cost.table import CostTable
    from nas.search_spaces.stage_table import StageTableSpace

    assert isinstance(space, StageTableSpace)
    low, high = CostTable(StageTableSpace({**space.form, "width": width})).macs_range()
    assert low <= 2e9 <= high


def test_an_installed_packages_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By entry point: found, listed, checked; a broken one is named."""
    from nas.search_spaces import catalogue

    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[nas.search_spaces]\nplugged = plugin_space:Space\ntabled = plugin_space:table\nbroken = plugin_space:Absent\n"
    )
    (tmp_path / "plugin_space.py").write_text(
        DECODED.format(second="channels=8", more="")
        + f"\ndef table():\n    from nas.search_spaces.stage_table import StageTableSpace\n"
        f"    return StageTableSpace({TINY_FORM!r})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue.installed_spaces.cache_clear()
    try:
        assert load_space("plugged").name == "decoded" and load_space("tabled").name == "tiny"
        assert RUNNER.invoke(app, ["check", "plugged"]).exit_code == 0
        with pytest.raises(InputError, match=r"broken\(\) failed: AttributeError"):
            load_space("broken")
        with pytest.raises(InputError, match="did you mean 'plugged'"):
            load_space("pluged")
    finally:
        catalogue.installed_spaces.cache_clear()


BASE = """
import numpy as np, torch, threading
from torch import nn
class Base:
    name, gene_sizes, resolution = "base", (2, 3), 16
    def build(self, architecture):
        width = 8 * (1 + architecture.genes[0])
        layers = [nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(width, 10))
class Table:
    name, gene_sizes = "table", (2, 3)
"""

REFUSED = {
    "class Space(Base): resolution = '16'": "resolution: expected the image's side as a whole number",
    "class Space(Base): resolution = 100000": "from 1 to 4096, got 100000",
    "class Space(Base): gene_names = 5": "gene_names: expected one string for each of the 2 genes, got 5",
    "class Space(Base):\n    @property\n    def gene_names(self): raise KeyError('x')": "gene_names failed: KeyError",
    "class Space(Base): gene_sizes = (10**30, 2)": "at most 1,000,000",
    "class Space(Base): name = None": "needs the attribute 'name'",
    "class Space(Base): costs = {'macs': 1}": "costs: expected a method, got a dict",
    "class Space(Table):\n    def costs(self, g): return {'macs': ['a' for _ in g]}": "expected real numbers",
    "class Space(Table):\n    def costs(self, g): return {'macs': [None for _ in g]}": "expected real numbers",
    "class Space(Table):\n    def costs(self, g): return {'macs': np.ones(len(g)) * 1j}": "expected real numbers",
    "class Space(Table):\n    def costs(self, g): return {'params': -np.ones(len(g))}": "expected a positive number",
    "class Space(Table):\n    def costs(self, g): return {3: np.ones(len(g))}": "a string as the metric's name, got 3",
    "class Space(Table):\n    def costs(self, g): return {'accuracy': np.ones(len(g))}": "for the evaluator to measure",
    "class Space(Table):\n    def costs(self, g): return {'macs' if g[0, 0] else 'x': np.ones(len(g))}": "as elsewhere",
    "class Space(Base):\n    def build(self, a): raise SystemExit(0)": "SystemExit",
    "class Space(Base):\n    def choices(self, a): return {'a': float('nan'), 'b': 1}": "'a': expected a plain value",
}


@pytest.mark.parametrize(("source", "message"), REFUSED.items(), ids=range(len(REFUSED)))
def test_odd_spaces_are_refused_in_one_message(source: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BASE + source)
    result = RUNNER.invoke(app, ["check", f"{tmp_path}/mine.py:Space", "--samples", "2"])
    assert result.exit_code == 2 and message in result.stderr, result.output
    assert not result.exception or isinstance(result.exception, SystemExit)


HELD = "    def build(self, a):\n        module = super().build(a)\n        "
ACCEPTED = [
    # Reads values while it is built, as stochastic depth does.
    f"class Space(Base):\n{HELD}[rate.item() for rate in torch.linspace(0, 0.2, 3)]\n        return module",
    # Cannot be copied.
    f"class Space(Base):\n{HELD}module.lock = threading.Lock()\n        return module",
    "class Space(Base): gene_sizes = (2, 200)",
    "class Space(Base):\n    def costs(self, g): return {'latency': g @ np.array([0.1, 0.7])}",
    "class Space(Base):\n    def build(self, a):\n        print('building')\n        return super().build(a)",
]


@pytest.mark.parametrize("source", ACCEPTED, ids=range(len(ACCEPTED)))
def test_unusual_spaces_are_accepted(source: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BASE + source)
    result = RUNNER.invoke(app, ["check", f"{tmp_path}/mine.py:Space", "--json", "--samples", "2"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["ok"]


def test_a_space_whose_first_genotype_makes_no_network_is_searched(tmp_path: Path) -> None:
    second = "channels=8, kernel=2 if architecture.genes == (0, 0) else 3"
    (tmp_path / "mine.py").write_text(DECODED.format(second=second, more=""))
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    arguments = ["--space", f"{tmp_path}/mine.py:Space", "--evaluator", f"{tmp_path}/toys.py:Sine", "--trials", "2"]
    limits = ["--max-params", "1M", "--workers", "0", "--out", str(tmp_path / "run")]
    result = RUNNER.invoke(app, ["search", *arguments, *limits])
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "run" / "trials.jsonl").read_text().splitlines()) == 2
