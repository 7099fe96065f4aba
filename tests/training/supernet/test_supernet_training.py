"""The training of a supernet: the same whenever it is interrupted, inside its limits, and with one rate for all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nas.core.errors import InputError
from nas.evaluate.supernet.file import SharedWeights, supernet_file
from nas.evaluate.supernet.form import Form
from nas.search_spaces.catalogue import load_space
from nas.training.checkpoint import Checkpoint
from nas.training.config import validate
from nas.training.recipe import Recipe
from nas.training.supernet.plan import SupernetPlan, limits_of
from nas.training.supernet.settings import SupernetSettings
from nas.training.supernet.trainer import SupernetTrainer, check_recipe
from nas.training.supernet.work import new_trainer
from nas.training.world import World
from tests.training.test_trainer import data, final, run

RECIPE = {"epochs": 2, "batch_size": 8, "learning_rate": 0.05, "warmup_epochs": 1, "crop": "padded", "augment": "none"}


def trainer(**changes: object) -> SupernetTrainer:
    values = {
        "thing": "small-images",
        "resolution": 16,
        "seed": 3,
        "data": {"source": "digits"},
        "recipe": {**RECIPE, "ema": 0.9, **changes},
        "supernet": {"target_flops": "4M,6M", "random_networks": 1},
    }
    return new_trainer(validate(values, "the test"), data(), torch.device("cpu"), World())


@pytest.mark.parametrize("steps", [1, 5])
def test_a_resumed_training_ends_in_the_same_weights(steps: int, tmp_path: Path) -> None:
    whole = trainer()
    (tmp_path / "parts").mkdir()
    run(whole, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(trainer(), tmp_path / "parts", steps)
    resumed = trainer()
    checkpoint = Checkpoint.load(tmp_path / "parts")
    assert checkpoint is not None
    resumed.restore(checkpoint)
    run(resumed, tmp_path / "parts")
    assert all(torch.equal(tensor, final(resumed)[name]) for name, tensor in final(whole).items())
    columns = [{key: value for key, value in row.items() if key != "seconds"} for row in whole.history]
    assert columns == [{key: value for key, value in row.items() if key != "seconds"} for row in resumed.history]


def test_each_epoch_scores_three_networks_and_their_mean() -> None:
    one = trainer(epochs=1, ema=None)
    scores = one.scores("validation")
    assert list(scores) == ["raw", "largest", "smallest", "random"]
    three = [scores[name].top1 for name in ("largest", "smallest", "random")]
    assert scores["raw"].top1 == pytest.approx(sum(three) / 3)
    before = {name: tensor.clone() for name, tensor in one.module.state_dict().items()}
    assert next(iter(trainer(epochs=1).scores("validation"))) == "ema"
    assert all(torch.equal(tensor, before[name]) for name, tensor in one.module.state_dict().items())


def test_every_step_trains_the_ends_of_the_limits_and_random_networks_inside_them() -> None:
    one = trainer()
    domain = one.plan.domain
    first = one._sandwich()
    one.step += 1
    second = one._sandwich()
    assert first[:2] == second[:2] == [one.plan.largest, one.plan.smallest] and len(first) == 3
    assert first[2] != second[2]
    macs = [one.plan.costs(architecture)["macs"] for architecture in (*first, *second)]
    assert all(3.6e6 <= count <= 6e6 for count in macs) and max(macs) == macs[0] and min(macs) == macs[1]
    assert all(domain.admits(architecture) for architecture in first)


def test_norms_and_biases_have_no_weight_decay() -> None:
    one = trainer()
    decayed, kept = (group["params"] for group in one.optimizer.param_groups)
    names = {id(parameter): name for name, parameter in one.module.named_parameters()}
    assert len(decayed) + len(kept) == len(names)
    assert all("/norm/" in names[id(tensor)] or names[id(tensor)].endswith("/bias") for tensor in kept)
    assert all(names[id(tensor)].endswith("/weight") and "/norm/" not in names[id(tensor)] for tensor in decayed)


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"layer_decay": 0.8}, "one learning rate"), ({"freeze_batch_norm": True}, "trains its BatchNorms")],
)
def test_recipes_for_the_layers_of_one_network_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_recipe(Recipe.model_validate(changes))


def test_several_targets_are_one_range() -> None:
    settings = SupernetSettings.model_validate({"target_flops": "16M,4M, 8M", "limits": {"params": "2M"}})
    limits = limits_of(settings)
    assert limits.of("macs") == (3.6e6, 16e6) and limits.of("params") == (0, 2e6)
    with pytest.raises(InputError, match="--target-flops limits the MACs already"):
        limits_of(settings.model_copy(update={"limits": {"macs": 1e6}}))
    with pytest.raises(InputError, match="holds no network with"):
        SupernetPlan.of("small-images", SupernetSettings.model_validate({"target_flops": "1M"}))


def test_its_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = trainer()
    space = one.plan.space
    sizes = tuple(int(size) for size in space.gene_sizes)
    tensors = {name.removeprefix("weights."): tensor for name, tensor in one.module.state_dict().items()}
    rest = (("a", "b", "c"), Form(16, 32, dropout=0.1), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    weights = SharedWeights(tensors, space.name, sizes, *rest, limits={"macs": (3.6e6, 6e6), "params": (0, None)})
    weights.save(tmp_path / "supernet.safetensors")
    read = SharedWeights.read(supernet_file(str(tmp_path)))
    assert {**vars(read), "tensors": None} == {**vars(weights), "tensors": None}
    made = read.supernet(space).state_dict()
    assert all(torch.equal(tensor, made[name]) for name, tensor in one.module.state_dict().items())
    with pytest.raises(InputError, match="it is of space 'small-images' with 23 genes"):
        read.supernet(load_space("mnasnet"))
    (tmp_path / "supernet.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is not a supernet's file"):
        SharedWeights.read(tmp_path / "supernet.safetensors")
    with pytest.raises(InputError, match="which does not exist"):
        supernet_file(str(tmp_path / "nowhere"))
