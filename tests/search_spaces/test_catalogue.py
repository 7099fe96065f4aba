from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.core.documents import read_yaml
from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.user_code import UserCode
from nas.evaluate.cost.known_costs import KnownCosts
from nas.search_spaces.catalogue import load_space, space_names
from nas.search_spaces.domain import Domain
from nas.search_spaces.image_space import image_space, image_space_form
from nas.search_spaces.space import decode, sample


def test_shipped_spaces() -> None:
    assert set(space_names()) == {
        *("efficientnet", "mnasnet", "mnasnet-wide", "mobilenet_v3", "own-images", "proxylessnas", "small-images")
    }
    assert load_space("small-images").name == "small-images"
    with pytest.raises(InputError, match="did you mean 'efficientnet'"):
        load_space("eficientnet")


def test_python_space_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("SIZES = (2, 3)\n")
    file = tmp_path / "mine.py"
    file.write_text("from helper import SIZES\nclass Mine:\n    name = 'mine'\n    gene_sizes = SIZES\n")
    assert tuple(load_space(f"{file}:Mine").gene_sizes) == (2, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Mine:\n    name = 'mine'\n", "needs the attribute 'gene_sizes'"),
        ("class Mine:\n    name = 'mine'\n    gene_sizes = (2, 0)\n", "expected one whole number of at least 1"),
        ("class Mine:\n    name = 'mine'\n    gene_sizes = 5\n", "expected one whole number of at least 1"),
        ("class Mine:\n    name = 'mine'\n    gene_sizes = ['a']\n", "expected one whole number of at least 1"),
        (
            "class Mine:\n    name, gene_sizes = 'mine', (2,)\n"
            "    def decode(self, a): pass\n    def build(self, a): pass\n",
            "expected decode or build, got both",
        ),
        (
            "class Mine:\n    def __init__(self): raise ValueError('no')\n",
            r"Mine\(\) failed: ValueError: no \(mine.py, line 2",
        ),
        ("class Other: pass\n", "has no class 'Mine'"),
        ("1 / 0\n", r"ZeroDivisionError: division by zero \(mine.py, line 1\)"),
        ("class Mine\n", "SyntaxError"),
    ],
)
def test_mistakes_in_a_users_file_name_the_place(tmp_path: Path, source: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source)
    with pytest.raises(InputError, match=message):
        load_space(f"{file}:Mine")


def test_what_a_users_space_raises_becomes_one_message(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "class Mine:\n    name, gene_sizes = 'mine', (2, 3)\n"
        "    def decode(self, architecture):\n        return {}['x'] if architecture.genes[0] else 7\n"
        "    def costs(self, genes):\n        return [1]\n"
    )
    space = load_space(f"{file}:Mine")
    with pytest.raises(InputError, match=r"decode\(.*\) failed: KeyError: 'x' \(mine.py, line 4\)"):
        decode(space, Architecture("mine", (1, 0)))
    with pytest.raises(InputError, match="expected a Network, got a int"):
        decode(space, Architecture("mine", (0, 0)))
    with pytest.raises(InputError, match="costs.*expected a dict, got a list"):
        KnownCosts(space)(Architecture("mine", (0, 0)))
    assert not Domain(space).admits(Architecture("mine", (1, 0)))


def test_source_travels_without_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    value = 3\n")
    code = UserCode.read(f"{file}:Mine", "evaluator")
    assert code is not None
    file.unlink()
    assert code.load().value == 3


def test_references_of_other_forms() -> None:
    assert UserCode.read("efficientnet", "space") is None
    with pytest.raises(InputError, match="expected FILE.py:Class"):
        UserCode.read("mine.py", "space")
    with pytest.raises(InputError, match="cannot be read"):
        UserCode.read("/nowhere/mine.py:Mine", "space")


def test_own_images_is_the_generated_form() -> None:
    path = Path(__file__).parents[2] / "search_spaces" / "own-images.yaml"
    assert read_yaml(path) == image_space_form(32, 10)


@pytest.mark.parametrize("resolution", [8, 16, 28, 32, 48, 64, 96, 128, 224])
def test_own_images_fits_any_resolution(resolution: int) -> None:
    space = image_space(resolution, 7)
    generator = np.random.default_rng(0)
    for _ in range(20):
        network = space.decode(sample(space, generator))
        assert network.resolution == resolution and network.classes == 7
    middle = space.decode(Architecture(space.name, tuple(count // 2 for count in space.gene_sizes)))
    assert {stage.op for stage in middle.stages} == {"basic"}
