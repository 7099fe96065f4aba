"""Every mistake: exit 2, one message that names the key or flag and the way out, no traceback, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from nas.cli.app import app
from nas.search_spaces.catalogue import reference_network
from nas.search_spaces.yaml_format import network_to_yaml
from tests.conftest import write_images
from tests.toys import TINY_FORM, TOY_EVALUATORS

RUNNER = CliRunner()

MISTAKES = [
    (["search", "--target-flops", "1K"], ["51,594,768", "884,060,256", "--target-flops"]),
    (["search", "--target-flops", "abc"], ["objective.target_flops", "400M", "'abc'"]),
    (["search", "--target-flops", "-4M"], ["objective.target_flops", "'-4M'"]),
    (["search", "--set", "trails=3"], ["'trails'", "did you mean 'trials'"]),
    (["search", "--set", "nonsense"], ["--set", "key.path=value"]),
    (["search", "--trails", "3"], ["No such option"]),
    (["search", "--trials", "many"], ["--trials", "whole number"]),
    (["search", "--config", "digts"], ["did you mean 'digits'"]),
    (["search", "--space", "efficientnt"], ["did you mean 'efficientnet'"]),
    (["search", "--space", "absent.yaml"], ["absent.yaml", "cannot be read"]),
    (["search", "--controller", "randm"], ["did you mean 'random'"]),
    (["search", "--controller", "toys.py:Sine"], ["subclass of nas.controllers.controller.Controller", "Sine"]),
    (["search", "--controller", "optuna:TPSampler"], ["did you mean 'TPESampler'"]),
    (["search", "--controller", "optuna:samplers/x"], ["OptunaHub", "pip install optunahub"]),
    (["search", "--controller", "predictor", "--set", "controller.initial=1"], ["controller.initial", "at least 2"]),
    (["search", "--controller", "rl", "--set", "controller.algorithm=dqn"], ["ppo or reinforce", "'dqn'"]),
    (["search", "--controller", "nsga2", "--set", "controller.objectives=[macs, macs]"], ["'macs' appears twice"]),
    (["search", "--warm-start", "absent"], ["warm_start", "no trials.jsonl"]),
    (["search", "--warm-start", "earlier", "--controller", "rl"], ["'rl' does not learn from an earlier run"]),
    (["search", "--warm-start", "earlier"], ["warm_start", "does not fit this space", "'efficientnet'"]),
    (["check", "predictr"], ["did you mean 'predictor'"]),
    (["search", "--trials", "0"], ["the command line", "trials", "greater than or equal to 1"]),
    (["search", "--controller", "exits.py:X"], ["exits.py", "SystemExit: 4"]),
    (["search", "--space", "costly.py:Space", "--evaluator", "toys.py:Sine"], ["costs(", "IndexError", "costly.py"]),
    (["check", "toys.py:Absent"], ["toys.py", "has no class 'Absent'"]),
    (["search", "--evaluator", "prxy"], ["did you mean 'proxy'"]),
    (["search", "--evaluator", "toys.py"], ["FILE.py:Class"]),
    (["search", "--evaluator", "toys.py:Sin"], ["did you mean 'Sine'"]),
    (["search", "--evaluator", "absent.py:Sine"], ["absent.py", "cannot be read"]),
    (["search", "--data", "./absent"], ["absent", "does not exist", "CLASS"]),
    (["search", "--data", "cifar-10"], ["cifar-10' does not exist", "did you mean 'cifar10'"]),
    (["search", "--data", "svhn"], ["'svhn' is missing or incomplete", "nas data prepare svhn --download", "NAS_DATA"]),
    (["search", "--data", "digits", "--set", "data.classes=[1, two]"], ["data.classes"]),
    (["search", "--data", "digits", "--set", "data.classes=['1', two]"], ["'two' is no class of these images"]),
    (["search", "--data", "digits", "--set", "data.validation=0.7"], ["validation", "a whole number of images", "0.7"]),
    (["search", "--data", "digits", "--set", "data.validation=1900"], ["1,900 images are to be held out", "1,797"]),
    (["search", "--budget", "2 weeks"], ["budget", "24gpuh", "'2 weeks'"]),
    (["search", "--data", "digits", "--budget", "3gpuh", "--workers", "0"], ["GPU-hours", "cpuh"]),
    (["search", "--fidelity", "asha"], ["fidelity.method", "'imagenet' trains none"]),
    (["search", "--data", "digits", "--fidelity", "halving"], ["fidelity.method", "'full' or 'asha'", "'halving'"]),
    (["search", "--data", "digits", "--fidelity", "asha", "--set", "evaluator.epochs=1"], ["fidelity.min_epochs", "1"]),
    (["search", "--evaluator", "toys.py:Sine", "--fidelity", "asha"], ["fidelity.max_epochs"]),
    (["search", "--data", "digits", "--confirm", "-1"], ["confirm.candidates", "-1"]),
    (["search", "--data", "digits", "--set", "evaluator.precision=fp8"], ["precision", "'fp8'"]),
    (["search", "--data", "digits", "--set", "evaluator.rand_augment=99"], ["rand_augment", "99"]),
    (["search", "--data", "digits", "--set", "workers.trial_memory=lots"], ["workers.trial_memory", "20MB", "'lots'"]),
    (["search", "--confirm", "2"], ["confirm.candidates", "'imagenet' trains nothing", "nas confirm"]),
    (
        ["search", "--evaluator", "toys.py:Sine", "--confirm", "2", "--set", "confirm.epochs=9"],
        ["confirm.epochs", "Sine.evaluate needs a parameter 'epochs'"],
    ),
    (["data", "prepare", "nowhere"], ["'nowhere' does not exist", "digits"]),
    (["data", "prepare", "digits", "--resolution", "0"], ["--resolution", "at least 1"]),
    (["data", "prepare", "imagenet", "--download"], ["'imagenet' cannot be downloaded", "ILSVRC2012"]),
    (["data", "prepare", "one-class", "--download"], ["--download", "'one-class' is not the name"]),
    (["bench", "efficientnet_b0", "--backends", "tensorrt"], ["--backends", "'tensorrt'", "onnxruntime"]),
    (["bench", "efficientnet_b0", "--device", "tpu"], ["--device", "cpu or cuda", "'tpu'"]),
    (["search", "--preset", "edge", "--target-flops", "300M"], ["preset", "did you mean 'edge-int8'"]),
    (["search", "--preset", "gpu", "--target-flops", "300M"], ["surrogate", "--data DIR"]),
    (["scale"], ["expected a network"]),
    (["scale", "--resume", "absent"], ["--resume: expected a run directory", "'absent' does not exist"]),
    (["scale", "efficientnet_b0", "--fit", "--tolerance", "2"], ["scaling.tolerance", "less than 1"]),
    (["scale", "efficientnet_b0", "--fit", "--by", "flops"], ["scaling.budget", "'nominal' or 'macs'", "'flops'"]),
    (
        ["scale", "efficientnet_b0", "--fit", "--max-memory", "1MB"],
        ["--max-memory", "the grid of scaling", "33,015,952"],
    ),
    (["scale-study", "--data", "digits"], ["expected a network to train"]),
    (["scale-study", "efficientnet_b0", "--budgets", "0.5"], ["--budgets", "above 1"]),
    (["scale-study", "efficientnet_b0", "--budgets", "two"], ["--budgets", "'two'"]),
    (["export", "onnx"], ["expected one network", "Formats: onnx"]),
    (["export", "efficientnet_b0", "onx"], ["did you mean 'onnx'"]),
    (["export", "efficientnet_b0", "--format", "tflite"], ["--format", "'tflite'"]),
    (["export", "mobilenet_v3_small", "timm"], ["timm has no model that equals"]),
    (["export", "efficientnet_b0", "--weights", "absent.safetensors"], ["'absent.safetensors'", "does not exist"]),
    (["train"], ["expected a network"]),
    (["trust", "earlier"], ["'earlier' has no config.yaml"]),
    (["trust", "smal-images"], ["did you mean 'small-images'"]),
    (["trust", "small-images", "--networks", "2"], ["--networks", "3"]),
    (["search", "--data", "one-class"], ["at least 2 classes", "'only'"]),
    (["search", "--tolerance", "lots"], ["objective.tolerance", "'lots'"]),
    (["search", "--constraint", "firm"], ["'soft' or 'hard'", "'firm'"]),
    (["search", "--train-device", "tpu"], ["'auto', 'cpu' or 'cuda'", "'tpu'"]),
    (["search", "--set", "data.resolution=2"], ["data.resolution", "2 px is too small"]),
    (["search", "--out", "taken"], ["'taken' is not empty", "choose another --out"]),
    (["search", "--resume", "absent"], ["--resume: expected a run directory", "'absent' does not exist"]),
    (["search", "--resume", "taken", "--seed", "3"], ["--resume", "seed"]),
    (["search", "--evaluator", "toys.py:"], ["FILE.py:Class", "toys.py:'"]),
    (["search", "--evaluator", "toys.py:Sine", "--set", "evaluator.dealy=1"], ["takes the options ['delay']", "dealy"]),
    (["search", "--alpha", "nan"], ["--alpha", "expected a number"]),
    (["search", "--set", "evaluator.learning_rate=.nan"], ["learning_rate", "finite"]),
    (["search", "--set", "data.source=[1"], ["--set", "not valid YAML"]),
    (["search", "--out", "x" * 300], ["too long"]),
    (["search", "--data", "x" * 300], ["too long"]),
    (["search", "--space", "raises.py:Space"], ["decode", "KeyError", "raises.py, line 4"]),
    (["scale", "efficientnet_b0", "--width", "0"], ["width", "got 0"]),
    (["scale", "efficientnet_b0", "--depth", "1e308"], ["depth", "at most 100"]),
    (["scale", "efficientnet_b0", "--phi", "20", "--alpha", "1e20"], ["alpha", "to 100"]),
    (["scale", "efficientnet_b0", "--phi", "1.0000001,1"], ["efficientnet_b0_phi1", "once"]),
    (["show", "x" * 300], ["too long"]),
    (["show", "efficientnet_b9"], ["did you mean 'efficientnet_b8'"]),
    (["show", "taken"], ["'taken'", "no baseline.yaml"]),
    (["show", "broken.yaml"], ["broken.yaml", "unknown key 'resolutoin'"]),
    (["profile", "efficientnet_b0", "--resolution", "0"], ["--resolution", "got 0"]),
    (["scale", "efficientnet_b0"], ["--official", "--phi"]),
    (["scale", "efficientnet_b0", "--official", "b12"], ["b12", "did you mean"]),
    (["scale", "efficientnet_b0", "--phi", "1,x"], ["--phi", "'1,x'"]),
    (["scale", "efficientnet_b0", "--width", "-1"], ["width", "-1"]),
    (["scale", "efficientnet_b0", "--to-flops", "1K"], ["no member", "17 px", "smaller network"]),
    (["scale", "efficientnet_b0", "--to-flops", "1G,fast"], ["--to-flops", "400M", "'fast'"]),
    (["scale", "efficientnet_b0", "--to-latency", "5ms", "--device", "a100"], ["--device a100", "no latency"]),
    (["scale", "efficientnet_b0", "--to-latency", "5ms", "--device", "vck190"], ["--device vck190", "skeleton"]),
    (["scale", "efficientnet_b0", "--max-memory", "1 elephant"], ["--max-memory", "20MB"]),
    (["search", "--max-params", "1M"], ["--max-params 1.00M", "1,798,072"]),
    (["search", "--max-params", "few"], ["objective.limits", "'few'"]),
    (["search", "--max-memory", "20Mb"], ["objective.limits", "20MB, 512KiB", "'20Mb'"]),
    (["search", "--set", "objective.limits.parms=3M"], ["'parms'", "did you mean 'params'"]),
    (["search", "--set", "objective.limits=3"], ["objective.limits", "got 3"]),
    (["search", "--target-flops", "400M", "--set", "objective.limits.macs=1M"], ["limits the MACs already"]),
    (
        ["search", "--target-flops", "800M", "--max-params", "2M"],
        ["--max-params 2.00M", "together with --target-flops"],
    ),
    (["compare", "efficientnet_b0", "mnasnet_a3"], ["mnasnet_a3", "did you mean 'mnasnet_a1'"]),
    (["show", "resnet50", "--blocks"], ["stages[0]", "block notation supports only mbconv"]),
    (["check", "efficientnt"], ["did you mean 'efficientnet'"]),
    (["check", "efficientnet", "--targets", "soon"], ["--targets", "'soon'"]),
    (["check", "efficientnet", "--samples", "-1"], ["--samples", "-1"]),
    (["check", "twice.yaml"], ["twice.yaml", "line 2", "'name' occurs twice"]),
    (["search", "--space", "small-images"], ["evaluator", "'small-images'", "expected 7 stages", "--data"]),
    (["search", "--space", "mnasnet-wide", "--target-flops", "400M"], ["evaluator", "--data"]),
    (["search", "--evaluator", "table"], ["evaluator.path", "FILE.json"]),
    (["search", "--evaluator", "table", "--set", "evaluator.path=absent.json"], ["absent.json", "cannot be read"]),
    (["search", "--evaluator", "table", "--set", "evaluator.pth=x"], ["evaluator.pth", "did you mean 'path'"]),
    (["search", "--evaluator", "imagenet", "--set", "evaluator.epochs=3"], ["unknown key 'evaluator.epochs'"]),
    (["search", "--device", "a10"], ["--device", "did you mean 'a100'"]),
    (["search", "--device", "a100", "--max-latency", "3ms"], ["--device a100", "throughput only", "zcu102"]),
    (["search", "--device", "tpuv2", "--target-latency", "3ms"], ["--device tpuv2", "throughput only"]),
    (["search", "--max-latency", "3ms"], ["--max-latency", "--device"]),
    (["search", "--min-throughput", "8000"], ["--min-throughput", "--device"]),
    (["search", "--device", "vck190", "--max-latency", "soon"], ["objective.limits", "20ms", "'soon'"]),
    (["search", "--device", "vck190", "--max-latency", "1us"], ["--max-latency 0.001ms", "reach from"]),
    (
        ["search", "--device", "vck190", "--max-latency", "3ms", "--target-latency", "3ms"],
        ["objective.limits.latency_ms", "--target-latency", "one of the two"],
    ),
    (["search", "--device", "absent.json"], ["absent.json", "cannot be read"]),
    (["search", "--device", "vck190", "--space", "small-images", "--data", "digits"], ["--device vck190", "skeleton"]),
    (["profile", "resnet18", "--device", "a100"], ["--device a100", "expected 7 stages"]),
    (["profile", "resnet18", "--measure", "tpu"], ["cpu or cuda", "'tpu'"]),
    (["sensitivity", "resnet18"], ["expected 7 stages"]),
    (["latency", "build", "--space", "efficientnet", "--rounds", "1"], ["--rounds", "at least 3"]),
    (["latency", "build", "--space", "efficientnet", "--backend", "tvm"], ["eager or onnxruntime", "'tvm'"]),
    (["surrogate", "score", "--data", "absent.csv"], ["absent.csv", "cannot be read"]),
    (["surrogate", "fit", "--data", "twice.yaml"], ["twice.yaml", "missing: e1"]),
    (["surrogate", "import", "twice.yaml"], ["twice.yaml", "expected a tar archive"]),
    (["confirm", "efficientnet_b0", "--data", "absent"], ["absent", "does not exist"]),
    (["rediscover", "--target-flops", "much"], ["--target-flops", "'much'"]),
    (["rediscover", "--out", "taken"], ["'taken' is not empty"]),
    (["serch"], ["No such command"]),
    (["show", "run/config.yaml"], ["expected a network", "a search's configuration", "give the run directory"]),
    (["scale", "table.yaml", "--phi", "1"], ["expected a network", "a search space", "nas search --space FILE"]),
    (["train", "trained/train.yaml", "--data", "digits"], ["expected a network", "nas train --resume FOLDER"]),
    (["search", "--config", "network.yaml"], ["expected a search's configuration", "this is a network"]),
    (["search", "--config", "table.yaml"], ["expected a search's configuration", "a search space"]),
    (["search", "--config", "trained/train.yaml"], ["a training's configuration"]),
    (["search", "--space", "run/config.yaml"], ["expected a search space", "nas search --config FILE"]),
    (["search", "--space", "run"], ["expected a shipped space, FILE.yaml or FILE.py:Class", "'run'"]),
    (["search", "--space", "network.yaml", "--data", "digits"], ["at least one list of options", "this is a network"]),
    (["show", "binary.yaml"], ["binary.yaml", "not UTF-8"]),
    (["show", "empty.yaml"], ["empty.yaml", "expected a mapping", "NoneType"]),
    (["search", "--config", "torn.yaml"], ["torn.yaml", "not valid YAML", "line 2"]),
    (["search", "--config", "many.yaml"], ["unknown keys 'a', 'b', 'c', 'd', 'e', ...", "Known: space"]),
    (["search", "--resume", "trained"], ["a training's folder", "nas train --resume trained"]),
    (["search", "--resume", "rnu"], ["--resume: expected a run directory", "did you mean 'run'"]),
    (["search", "--resume", "network.yaml"], ["'network.yaml' is a file"]),
    (["search", "--resume", "older"], ["older/config.yaml", "unknown key 'trails'", "made by mnas 0.0.1, this is"]),
    (["train", "--resume", "run"], ["expected a training's folder", "nas search --resume run"]),
    (["train", "efficientnet_b0", "--data", "digits", "--out", "run"], ["--out: 'run' is not empty"]),
    (
        ["train", "efficientnet_b0", "--data", "digits", "--resolution", "0"],
        ["resolution", "greater than or equal to 1", "got 0"],
    ),
    (
        ["train", "table-free.yaml", "--data", "digits", "--resolution", "1"],
        ["--resolution: 1 px is too small for this network"],
    ),
    (
        ["train", "efficientnet_b0", "--data", "digits", "--resolution", "90000"],
        ["px need", "use a lower resolution", "NAS_CACHE"],
    ),
    (
        ["train", "efficientnet_b0", "--data", "digits", "--gpus-per-worker", "1"],
        ["--gpus-per-worker", "--workers N"],
    ),
    (
        ["train", "efficientnet_b0", "--data", "digits", "--init", "absent"],
        ["--init", "absent', which does not exist"],
    ),
    (["train", "efficientnet_b0", "--data", "digits", "--init", "run"], ["run' holds no weights.safetensors"]),
    (["cam", "efficientnet_b0", "--image", "absent.png"], ["has no weights"]),
    (["report", "absent"], ["report: expected a run directory", "'absent' does not exist"]),
    (["report", "trained"], ["report", "a training's folder"]),
    (["report", "run"], ["report", "no finished trial"]),
    (["dashboard", "rnu"], ["dashboard: expected a run directory", "did you mean 'run'"]),
    (["dashboard", "run", "--port", "99999"], ["--port", "65535"]),
    (["export-study", "run", "--storage", "x.db"], ["--storage", "sqlite:///study.db", "'x.db'"]),
    (["export-study", "run", "--storage", "oracel://x"], ["--storage", "'oracel://x' is not an Optuna storage"]),
    (["init", "taken/file"], ["taken/file", "expected a folder"]),
    (["trust", "run"], ["trained no proxies", "'imagenet'"]),
    (["search", "--data", "digits", "--evaluator", "imagenet"], ["--data", "'imagenet' trains nothing"]),
    (["search", "--config", "run"], ["'run' is a run directory", "run/config.yaml"]),
    (["export", "network.yaml", "onx"], ["'onx' is no format", "did you mean 'onnx'"]),
    (["search", "--out", "run"], ["--out: 'run' is not empty", "resume with: nas search --resume run"]),
    (["search", "--out", "network.yaml"], ["--out: 'network.yaml' is a file"]),
    (["search", "--wandb", "--set", "tracking.wandb=perhaps"], ["tracking.wandb", "'perhaps'"]),
    (["search", "--set", "tracking.projct=x"], ["tracking.projct", "did you mean 'project'"]),
    (["search", "--data", "one-class/only/000.png"], ["000.png"]),
]


def write_documents(folder: Path) -> None:
    """Documents of every kind, to be given in another's place."""
    network = network_to_yaml(reference_network("efficientnet_b0"))
    (folder / "network.yaml").write_text(network)
    (folder / "table-free.yaml").write_text(network)
    (folder / "table.yaml").write_text(yaml.safe_dump(TINY_FORM))
    (folder / "binary.yaml").write_bytes(bytes(range(128, 256)))
    (folder / "empty.yaml").write_text("")
    (folder / "torn.yaml").write_text("a: [1\n")
    (folder / "many.yaml").write_text("".join(f"{letter}: 1\n" for letter in "abcdefg"))
    for name, config in (
        ("run", {"evaluator": {"name": "imagenet"}, "trials": 3}),
        ("older", {"trails": 3, "objective": {}, "versions": {"mnas": "0.0.1"}}),
    ):
        (folder / name).mkdir()
        (folder / name / "config.yaml").write_text(yaml.safe_dump(config))
        (folder / name / "trials.jsonl").write_text("")
    (folder / "trained").mkdir()
    (folder / "trained" / "train.yaml").write_text("thing: efficientnet_b0\nrecipe: {}\n")


@pytest.mark.parametrize(("arguments", "expected"), MISTAKES, ids=lambda value: " ".join(value) if value else "")
def test_mistakes(arguments: list[str], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    (tmp_path / "broken.yaml").write_text("resolutoin: 3\n")
    (tmp_path / "twice.yaml").write_text("name: a\nname: b\n")
    (tmp_path / "raises.py").write_text(
        "class Space:\n    name, gene_sizes = 'raises', (2,)\n"
        "    def decode(self, architecture):\n        return {}['x']\n"
    )
    (tmp_path / "exits.py").write_text("raise SystemExit(4)\n")
    (tmp_path / "costly.py").write_text(
        "class Space:\n    name, gene_sizes = 'costly', (2, 3)\n"
        "    def costs(self, genes):\n        return {'macs': genes[7]}\n"
    )
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "trials.jsonl").write_text(
        '{"number": 0, "genes": [1], "choices": {}, "status": "ok", "metrics": {"accuracy": 0.5}, "reward": 0.5, '
        '"seconds": 1, "error": null, "space": "another"}\n'
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("")
    write_images(tmp_path / "one-class", {"only": 5})
    write_documents(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts)
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 2, result.output
    for text in expected:
        assert text in result.output
    assert "Traceback" not in result.output and result.stdout == ""
    assert sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts) == before


def document(*arguments: str) -> object:
    result = RUNNER.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0 and result.stderr == ""
    return json.loads(result.stdout)


def test_profile_of_b0() -> None:
    profile = document("profile", "efficientnet_b0")
    assert isinstance(profile, dict)
    found = {key: profile[key] for key in ("macs", "params", "resolution", "classes")}
    assert found == {"macs": 385_814_752, "params": 5_288_548, "resolution": 224, "classes": 1000}
    other = document("profile", "efficientnet_b0", "--resolution", "448", "--classes", "10")
    assert isinstance(other, dict) and other["params"] == 5_288_548 - 990 * 1281


def test_scale_by_every_way() -> None:
    family = document("scale", "efficientnet_b0", "--official", "b1..b7", "--phi", "1,2", "--width", "2")
    assert isinstance(family, list) and len(family) == 10
    assert all({"name", "width", "depth", "resolution", "macs", "params"} <= set(member) for member in family)
    assert family[6] | {"macs": 37_745_884_192, "params": 66_347_960} == family[6]


def test_show_is_a_network_that_loads() -> None:
    from nas.scale.find_network import find_network
    from nas.search_spaces.yaml_format import network_from_dict

    shown = document("show", "efficientnet_b3")
    assert isinstance(shown, dict)
    names = ("macs", "params", "weight_bytes", "peak_activation_bytes", "memory_bytes")
    macs, params, weights, activations, memory = (shown.pop(key) for key in names)
    assert (macs, params, weights) == (1_827_141_392, 12_233_232, 4 * 12_233_232)
    assert memory == weights + activations
    assert network_from_dict(shown) == find_network("efficientnet_b3")


def test_profile_explains_other_counters() -> None:
    profile = document("profile", "mobilenet_v3_small", "--resolution", "64", "--check")
    assert isinstance(profile, dict)
    ours, torchs, thops = profile["check"]
    assert ours["macs"] == torchs["macs"] == profile["macs"] and thops["macs"] > ours["macs"] and thops["explained"]
    assert profile["memory_bytes"] == profile["weight_bytes"] + profile["peak_activation_bytes"]
    result = RUNNER.invoke(app, ["profile", "mobilenet_v3_small", "--resolution", "64", "--check"])
    assert "halved" in result.stdout and "for BatchNorm" in result.stdout


def test_compare_marks_what_differs() -> None:
    compared = document("compare", "efficientnet_b0", "mnasnet_a1")
    assert isinstance(compared, dict) and not compared["same"]
    differs = {row["part"]: row["differs"] for row in compared["differences"]}
    assert differs["stage5"] == ["kernel", "layers", "activation"] and differs["stem"] == ["activation"]
    assert differs["network"] == ["drop_connect"]
    assert [side["macs"] for side in compared["networks"]] == [385_814_752, 311_579_072]
    same = document("compare", "efficientnet_b0", "efficientnet_b0")
    assert isinstance(same, dict) and same["same"] and not same["differences"]
    text = RUNNER.invoke(app, ["compare", "efficientnet_b0", "resnet18"]).stdout
    assert "≠ op, kernel, channels, activation" in text and "only in the first" in text and "+370.2%" in text


def test_show_in_block_notation_loads_again() -> None:
    from nas.scale.find_network import find_network
    from nas.search_spaces.yaml_format import network_from_dict

    shown = document("show", "efficientnet_b4", "--blocks")
    assert isinstance(shown, dict)
    assert RUNNER.invoke(app, ["show", "efficientnet_b4", "--blocks"]).stdout.splitlines() == shown["blocks"]
    root = {key: shown[key] for key in ("name", "resolution", "classes", "drop_connect", "stem", "head")}
    assert (
        network_from_dict(root | {"stages": shown["blocks"]}).signature() == find_network("efficientnet_b4").signature()
    )


def test_lists_and_version() -> None:
    spaces = document("spaces")
    assert isinstance(spaces, list)
    assert {space["name"]: space["architectures"] for space in spaces}["efficientnet"] == 104_485_552_128
    controllers = document("controllers")
    assert isinstance(controllers, list) and [row["name"] for row in controllers] == [
        "random",
        "evolution",
        "nsga2",
        "rl",
        "predictor",
        "local",
        "optuna:SAMPLER",
    ]
    evaluators = document("evaluators")
    assert isinstance(evaluators, list) and [row["name"] for row in evaluators] == [
        "proxy",
        "supernet",
        "imagenet",
        "table",
    ]
    for command in (
        ["--version"],
        ["spaces"],
        ["controllers"],
        ["evaluators"],
        ["show", "efficientnet_b0"],
        ["profile", "efficientnet_b0"],
    ):
        result = RUNNER.invoke(app, command)
        assert result.exit_code == 0 and result.stdout.strip()
