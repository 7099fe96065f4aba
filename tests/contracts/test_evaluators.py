"""What every shipped evaluator keeps to: metrics of a network, the same every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.contract import Evaluator, Job, check_metrics
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.imagenet.evaluator import ImageNetEvaluator
from nas.evaluate.kinds import EVALUATORS
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.supernet.file import SharedWeights
from nas.evaluate.supernet.form import Form
from nas.evaluate.supernet.settings import SharedWeightsSettings
from nas.evaluate.supernet.supernet import Supernet
from nas.evaluate.table import TableEvaluator
from nas.evaluate.workers.guard import evaluate_safely
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM


def proxy(_: Path) -> tuple[Evaluator, SearchSpace]:
    data = load_data(DataSettings(resolution=16, fraction=0.05))
    return EvaluatorRecipe(ProxySettings(epochs=1), device="cpu").make(data), StageTableSpace(TINY_FORM)


def supernet(folder: Path) -> tuple[Evaluator, SearchSpace]:
    data, space = load_data(DataSettings(resolution=16, fraction=0.05)), StageTableSpace(TINY_FORM)
    made = Supernet.initial(space, len(data.classes), torch.Generator().manual_seed(0))
    tensors = {name.removeprefix("weights."): tensor for name, tensor in made.state_dict().items()}
    about = (space.name, space.gene_sizes, data.classes, Form(16, 16), (30.0,) * 3, (50.0,) * 3)
    SharedWeights(tensors, *about).save(folder / "supernet.safetensors")
    settings = SharedWeightsSettings(supernet=str(folder), calibration_images=40)
    return EvaluatorRecipe(shared=settings, space=space, device="cpu").make(data), space


def imagenet(_: Path) -> tuple[Evaluator, SearchSpace]:
    return EvaluatorRecipe(ready=ImageNetEvaluator()).make(None), load_space("efficientnet")


def table(folder: Path) -> tuple[Evaluator, SearchSpace]:
    space = StageTableSpace(TINY_FORM)
    rows = {
        ",".join(map(str, item.genes)): {"accuracy": 0.5 + 0.01 * sum(item.genes), "joules": 2}
        for item in spaces.enumerate_space(space)
    }
    (folder / "t.json").write_text(json.dumps(rows))
    return EvaluatorRecipe(ready=TableEvaluator.read(folder / "t.json", space)).make(None), space


MAKERS: dict[str, Callable[[Path], tuple[Evaluator, SearchSpace]]] = {
    "proxy": proxy,
    "supernet": supernet,
    "imagenet": imagenet,
    "table": table,
}


def test_all_are_held_to_it() -> None:
    assert set(MAKERS) == set(EVALUATORS)


@pytest.mark.parametrize("name", EVALUATORS)
def test_what_is_said_of_an_evaluator_holds_for_it(name: str, tmp_path: Path) -> None:
    evaluator, kind = MAKERS[name](tmp_path)[0], EVALUATORS[name]
    assert callable(getattr(evaluator, "test", None)) == kind.can_test
    assert hasattr(evaluator, "data") == kind.needs_data
    assert kind.is_instant != kind.needs_data


@pytest.mark.parametrize("name", EVALUATORS)
def test_metrics_are_plain_and_repeat(name: str, tmp_path: Path) -> None:
    evaluator, space = MAKERS[name](tmp_path)
    architecture = spaces.sample(space, np.random.default_rng(3))
    job = Job(0, architecture, spaces.decode(space, architecture), seed=5)
    first, again = (evaluate_safely(evaluator, job, None) for _ in range(2))
    assert first.status == "ok", first.error
    assert first.metrics == again.metrics == check_metrics(first.metrics)
    assert 0 <= first.metrics["accuracy"] <= 1


def test_the_surrogate_s_metrics() -> None:
    space = load_space("efficientnet")
    corner = Architecture("efficientnet", (0,) * 28)
    for architecture, far in ((spaces.sample(space, np.random.default_rng(0)), False), (corner, True)):
        metrics = ImageNetEvaluator().evaluate(architecture, spaces.decode(space, architecture))
        assert {"accuracy", "accuracy_std", "accuracy_longer"} <= set(metrics)
        assert metrics["accuracy"] < metrics["accuracy_longer"] and 0 < metrics["accuracy_std"] < 0.02
        assert metrics.get("extrapolated", 0) == far
    with pytest.raises(InputError, match="needs a stage table"):
        ImageNetEvaluator().evaluate(corner, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "expected a map"),
        ("{}", "expected a map"),
        ('{"0,1": {"accuracy": 0.5}}', "'0,1': expected 5 genes, got 2"),
        ('{"0,0,0,9,0": {"accuracy": 0.5}}', "gene 3: expected an option index from 0 to 2, got 9"),
        ('{"a,b": 0.5}', "expected comma-joined option indices"),
        ('{"0,0,0,0,0": {"macs": 5}}', "at least 'accuracy'"),
        ('{"0,0,0,0,0": 66.3}', "accuracy: expected a fraction from 0 to 1, got 66.3"),
        ('{"0,0,0,0,0": NaN}', "the number NaN is not finite"),
    ],
)
def test_tables_that_are_wrong_are_refused_by_entry(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=message):
        TableEvaluator.read(tmp_path / "t.json", StageTableSpace(TINY_FORM))


def test_a_table_of_accuracies_alone_and_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(
        '{"0,0,0,0,0": 0.5, "0,0,0,1,0": {"accuracy": 0.6, "accuracy_std": 0.1, "macs": 3}}'
    )
    evaluator = TableEvaluator.read(tmp_path / "t.json", StageTableSpace(TINY_FORM))
    assert evaluator.evaluate(Architecture("tiny", (0, 0, 0, 0, 0)), None) == {"accuracy": 0.5}
    assert evaluator.costs(Architecture("tiny", (0, 0, 0, 1, 0))) == {"macs": 3}
    with pytest.raises(InputError, match=r"genes \(1, 0, 0, 0, 0\) are not in the table"):
        evaluator.evaluate(Architecture("tiny", (1, 0, 0, 0, 0)), None)
