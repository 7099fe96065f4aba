from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from nas.core.changes import nested
from nas.core.errors import InputError
from nas.evaluate.kinds import TableSettings
from nas.evaluate.proxy.settings import ProxySettings
from nas.search.assemble import prepare
from nas.search.config import RunConfig, config_names, load_config, validate_config, with_absolute_paths
from nas.training.config import TrainConfig


@pytest.mark.parametrize("name", config_names())
def test_shipped_configurations_are_valid(name: str) -> None:
    config = load_config(name, nested({"data.source": "digits"}), [])
    assert prepare(config).space.name == config.space
    assert config.data.source == "digits"


def test_the_default_is_b0s_space_with_digits_at_32_px() -> None:
    config = load_config(None, nested({"objective.target_flops": "400M"}), [])
    assert (config.space, config.data.source, config.data.resolution) == ("efficientnet", "digits", 32)
    assert config.objective.target_flops == 4e8 and config.objective.tolerance == 0.1


def test_flags_lie_over_the_file_and_set_over_both(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("trials: 3\nseed: 4\ncontroller: {name: evolution, population: 9, sample: 2}\n")
    config = load_config(str(file), {"trials": 5}, ["evaluator.epochs=7", "trials=6"])
    assert (config.trials, config.seed, config.proxy and config.proxy.epochs) == (6, 4, 7)
    assert config.controller_options == {"population": 9, "sample": 2}
    assert load_config(str(file), nested({"controller.name": "random"}), []).controller_options == {}


def test_none_lifts_the_band() -> None:
    assert load_config(None, nested({"objective.tolerance": "none"}), []).objective.tolerance is None


@pytest.mark.parametrize(
    ("changes", "assignments", "message"),
    [
        ({}, ["trails=3"], "unknown key 'trails'; did you mean 'trials'"),
        ({}, ["data.resolutoin=3"], "unknown key 'data.resolutoin'; did you mean 'resolution'"),
        ({}, ["evaluator.epoch=3"], "unknown key 'evaluator.epoch'; did you mean 'epochs'"),
        ({}, ["controller.populaton=3"], "unknown key 'controller.populaton'; did you mean 'population'"),
        ({}, ["workers.cuont=3"], "unknown key 'workers.cuont'; did you mean 'count'"),
        ({}, ["trials"], "--set: expected key.path=value, got 'trials'"),
        ({}, ["trials=[3"], "not valid YAML"),
        ({}, ["trials.deep=3"], "'trials' holds the plain value 5000"),
        ({"trials": 0}, [], "trials: expected greater than or equal to 1, got 0"),
        ({"objective.target_flops": "many"}, [], "objective.target_flops: .*400M.*got 'many'"),
        ({"objective.tolerance": 1.5}, [], "objective.tolerance: expected less than 1, got 1.5"),
        ({"objective.constraint": "firm"}, [], "expected 'soft' or 'hard', got 'firm'"),
        ({"controller.name": "evolutoin"}, [], "did you mean 'evolution'"),
        ({"controller.name": "optuna:TPSampler"}, [], "did you mean 'TPESampler'"),
        (
            {"controller.name": "predictor"},
            ["controller.kapa=1"],
            "unknown key 'controller.kapa'; did you mean 'kappa'",
        ),
        (
            {"controller.name": "predictor"},
            ["controller.kappa=high"],
            "controller.kappa: expected a number",
        ),
        (
            {"controller.name": "nsga2"},
            ["controller.objectives=accuracy"],
            "controller.objectives: expected a list",
        ),
        ({"evaluator.name": "prxy"}, [], "did you mean 'proxy'"),
        ({"workers.train_device": "tpu"}, [], "expected 'auto', 'cpu' or 'cuda', got 'tpu'"),
        ({"workers.count": -1}, [], "workers.count: expected greater than or equal to 0, got -1"),
        (
            {},
            ["data.validation=0.9"],
            "validation: expected a fraction between 0 and 0.5, or a whole number of images, got 0.9",
        ),
        ({}, ["evaluator.optimizer=adm"], "optimizer: expected 'sgd' or 'adamw', got 'adm'"),
    ],
)
def test_mistakes_name_the_key_the_expectation_and_the_way_out(
    changes: dict[str, object], assignments: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_config(None, nested(changes), assignments)


def test_references_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'digits'"):
        load_config("digts", {}, [])
    with pytest.raises(InputError, match="cannot be read"):
        load_config(str(tmp_path / "absent.yaml"), {}, [])


def test_the_written_form_is_the_same_configuration() -> None:
    config = load_config("digits", nested({"workers.trial_timeout": "10m"}), [])
    assert config.workers.trial_timeout == 600
    assert validate_config(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json"))), "file") == config


def test_files_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes = {"space": "s.yaml", "evaluator.name": "e.py:Mine", "data.source": "images"}
    config = with_absolute_paths(load_config(None, nested(changes), []))
    assert config.space == str(tmp_path / "s.yaml")
    assert config.evaluator["name"] == f"{tmp_path}/e.py:Mine"
    assert config.data.source == str(tmp_path / "images")
    shipped = with_absolute_paths(load_config(None, {}, []))
    assert (shipped.space, shipped.data.source) == ("efficientnet", "digits")


def test_every_key_is_explained() -> None:
    def explained(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                explained(kind)
            else:
                assert field.description, f"{model.__name__}.{name}"

    for model in (RunConfig, ProxySettings, TrainConfig, TableSettings):
        explained(model)


def test_a_budget_below_the_space_names_the_space_for_own_images() -> None:
    values = {"space": "efficientnet", "objective": {"target_flops": "20M"}, "data": {"source": "digits"}}
    with pytest.raises(InputError, match=r"\(884.1M\) MACs.*--space own-images is for images of your own"):
        prepare(validate_config({**values, "evaluator": {"name": "proxy"}}, "test"))
    with pytest.raises(InputError) as found:
        prepare(validate_config({**values, "data": {}, "evaluator": {"name": "imagenet"}}, "test"))
    assert "own-images" not in str(found.value)
