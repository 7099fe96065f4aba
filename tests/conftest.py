from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM, TOY_EVALUATORS

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes of the tests share the cores

settings.register_profile("shared-machine", deadline=None)  # no test asserts a timing
settings.load_profile("shared-machine")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded images and paused trainings go to folders of the tests' own, in the programs that they start too."""
    os.environ["NAS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def exact_floats() -> Iterator[None]:
    """Undo the flush of denormals that training sets; Hypothesis refuses to draw subnormal floats under it."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)


@pytest.fixture
def tiny_space() -> StageTableSpace:
    """48 genotypes of a two-stage network at 16 px."""
    return StageTableSpace(TINY_FORM)


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A folder with ``toys.py``, which holds evaluators of every kind."""
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    return tmp_path


@pytest.fixture
def tiny_network() -> Network:
    return Network(
        resolution=16,
        classes=3,
        stem=Stem(channels=8),
        stages=(Stage(channels=8, expand=1), Stage(channels=16, stride=2, expand=2, layers=2, se=0.25)),
        head=Head(channels=32),
    )


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Three classes of 20 PNGs, told apart by their colour."""
    root = tmp_path / "images"
    write_images(root, {"red": 20, "green": 20, "blue": 20})
    return root


def write_images(root: Path, counts: dict[str, int], side: int = 12) -> None:
    generator = np.random.default_rng(0)
    for channel, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = generator.integers(0, 90, size=(side, side + 4, 3), dtype=np.uint8)
            pixels[..., channel % 3] += 150
            Image.fromarray(pixels).save(root / name / f"{index:03}.png")
