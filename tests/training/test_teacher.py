"""Trainings that learn from a teacher's outputs: the loss, the teacher's images, and which teachers are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from nas.core.documents import to_yaml
from nas.core.errors import InputError
from nas.evaluate.data.identity import SeenImages
from nas.evaluate.proxy.distillation import Distillation
from nas.evaluate.proxy.images import Normalisation
from nas.evaluate.supernet.file import SharedWeights
from nas.evaluate.supernet.form import Form
from nas.evaluate.supernet.one_network import OneNetwork
from nas.evaluate.supernet.supernet import Supernet
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.stage_table import StageTableSpace
from nas.training.checkpoint import Checkpoint
from nas.training.config import TrainConfig, validate
from nas.training.supernet.work import new_trainer
from nas.training.teacher import TeacherNetwork, check_teacher, find_teacher, teacher_of
from nas.training.trainer import Trainer
from nas.training.world import World
from nas.weights.file import Weights, random_weights
from tests.toys import TINY_FORM
from tests.training.test_trainer import RECIPE, data, final, run

CPU = torch.device("cpu")
CLASSES = ("r", "g", "b")


def teacher_weights(network: Network) -> Weights:
    found = random_weights(network.at(classes=3), seed=1)
    return replace(found, classes=CLASSES, mean=(90.0, 100.0, 110.0), std=(40.0, 50.0, 60.0))


def config(teacher: Path | str, **recipe: object) -> TrainConfig:
    values = {"thing": "tiny", "resolution": 16, "teacher": str(teacher), "recipe": {**RECIPE.model_dump(), **recipe}}
    return validate(values, "the test")


def taught(network: Network, teacher: Path, **recipe: object) -> Trainer[Any]:
    torch.manual_seed(0)
    module = build(network.at(classes=3)).to(memory_format=torch.channels_last)
    own = config(teacher, **recipe)
    return Trainer(module, data(), own.recipe, 16, seed=5, teacher=teacher_of(own, data(), CPU))


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 1.0), (0.5, 1.0), (0.9, 4.0), (1.0, 2.0)])
def test_the_loss_is_that_of_the_paper(weight: float, temperature: float) -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]], requires_grad=True)
    teacher, labels = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0]]), torch.tensor([0, 1])
    of_labels = functional.cross_entropy(logits, labels)
    loss = Distillation(weight, temperature).loss(of_labels, logits, teacher)
    soft = (teacher / temperature).softmax(1)
    own = -(soft * (logits / temperature).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, (1 - weight) * of_labels + weight * temperature**2 * own)


def test_a_teacher_has_its_own_normalisation_and_resolution(tiny_network: Network) -> None:
    module = build(tiny_network.at(classes=3)).eval()
    normalise = Normalisation(torch.tensor([90.0, 100.0, 110.0]), 1 / torch.tensor([40.0, 50.0, 60.0]))
    pixels = 255 * torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images = (pixels - normalise.mean[:, None, None]) * normalise.scale[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(TeacherNetwork(module, normalise, 16)(pixels), module(images))
        larger = functional.interpolate(images, (24, 24), mode="bilinear", antialias=True)
        torch.testing.assert_close(TeacherNetwork(module, normalise, 24)(pixels), module(larger))


def test_the_network_learns_what_the_teacher_says_and_the_teacher_stays(tiny_network: Network, tmp_path: Path) -> None:
    teacher_weights(tiny_network).save(tmp_path / "t.safetensors")
    one = taught(tiny_network, tmp_path / "t.safetensors", epochs=12, teacher_weight=1.0, batch_norm_momentum=0.3)
    teacher = one._teacher
    assert isinstance(teacher, TeacherNetwork)
    before = {name: tensor.clone() for name, tensor in teacher.module.state_dict().items()}
    pixels = torch.from_numpy(data().test.array).permute(0, 3, 1, 2).float()

    def distance() -> float:
        images = one.normalise(torch.from_numpy(data().test.array))
        with torch.no_grad():
            own = one.module.eval()(images)
            return float(functional.kl_div(own.log_softmax(1), teacher(pixels).softmax(1), reduction="batchmean"))

    first = distance()
    run(one, tmp_path)
    assert distance() < first / 2
    after = teacher.module.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_resumed_training_has_its_teacher_again(tiny_network: Network, tmp_path: Path) -> None:
    teacher_weights(tiny_network).save(tmp_path / "t.safetensors")
    changes = {"mixup": 0.2, "teacher_weight": 0.7, "temperature": 2.0}
    whole = taught(tiny_network, tmp_path / "t.safetensors", **changes)
    run(whole, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(taught(tiny_network, tmp_path / "t.safetensors", **changes), tmp_path, 5)
    resumed = taught(tiny_network, tmp_path / "t.safetensors", **changes)
    checkpoint = Checkpoint.load(tmp_path)
    assert checkpoint is not None
    resumed.restore(checkpoint)
    run(resumed, tmp_path)
    assert all(torch.equal(tensor, final(resumed)[name]) for name, tensor in final(whole).items())
    alone = taught(tiny_network, tmp_path / "t.safetensors", **{**changes, "teacher_weight": 0.0})
    run(alone, tmp_path)
    assert not all(torch.equal(tensor, final(alone)[name]) for name, tensor in final(whole).items())


def test_the_largest_network_of_a_supernet_teaches(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(to_yaml(TINY_FORM))
    space, form = StageTableSpace(TINY_FORM), Form(12, 16)
    largest = tuple(size - 1 for size in space.gene_sizes)
    made = Supernet.initial(space, 3, torch.Generator().manual_seed(0), form)
    tensors = {name.removeprefix("weights."): tensor for name, tensor in made.state_dict().items()}
    known = SharedWeights(tensors, space.name, space.gene_sizes, CLASSES, form, (90.0,) * 3, (50.0,) * 3)
    weights = replace(known, reference=str(tmp_path / "tiny.yaml"), largest=largest)
    weights.save(tmp_path / "supernet.safetensors")
    teacher = teacher_of(config(tmp_path), data(), CPU)
    assert teacher is not None and teacher.resolution == 12
    pixels = torch.from_numpy(data().test.array).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        logits = teacher(pixels)
    assert isinstance(teacher.module, OneNetwork) and teacher.module.architecture.genes == largest
    assert logits.shape == (12, 3)
    assert not any(tensor.requires_grad for tensor in teacher.module.parameters())


def test_a_supernet_is_taught_through_its_largest_network(tiny_network: Network, tmp_path: Path) -> None:
    teacher_weights(tiny_network).save(tmp_path / "t.safetensors")
    values = {
        "thing": "small-images",
        "resolution": 16,
        "recipe": {**RECIPE.model_dump(), "epochs": 1},
        "supernet": {"target_flops": "4M", "random_networks": 0},
    }
    losses = []
    for teacher in (None, str(tmp_path / "t.safetensors")):
        one = new_trainer(validate({**values, "teacher": teacher}, "the test"), data(), CPU, World())
        run(one, tmp_path)
        losses.append(one.history[0]["loss"])
    assert losses[0] != losses[1]


def test_teachers_that_do_not_fit_are_refused(tiny_network: Network, tmp_path: Path) -> None:
    weights = teacher_weights(tiny_network)
    with pytest.raises(InputError, match="tells 2 classes apart"):
        check_teacher(replace(weights, classes=("r", "g")), data())
    with pytest.raises(InputError, match="that the teacher was trained with"):
        check_teacher(replace(weights, seen=SeenImages.of(data().test.contents)), data())
    with pytest.raises(InputError, match="no weights of its own"):
        find_teacher("efficientnet_b0")
    with pytest.raises(InputError, match="--teacher"):
        find_teacher(str(tmp_path / "nothing.safetensors"))
