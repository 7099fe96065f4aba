"""README is true: its commands, its examples and its words run, on a tiny budget."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nas.config import config_names
from nas.search_spaces.catalogue import reference_names, space_names
from tests.conftest import write_images
from tests.toys import ROOT, read_trials, run_nas

README = (ROOT / "README.md").read_text()
TINY = ("--trials", "2", "--workers", "0", "--set", "evaluator.epochs=1", "--set", "data.fraction=0.1")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("nas ")]
    return [shlex.split(line)[1:] for line in lines]


def test_two_commands_do_all_the_set_up() -> None:
    first, second = blocks("bash")[:2]
    install, search = first.strip().rsplit(" && ", 1)
    assert install == "python3 -m venv .venv && .venv/bin/pip install ."
    assert search == ".venv/bin/nas search --target-flops 400M --out runs/first"
    assert second.strip() == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"
    assert "grep -m 1 'bin/python -m pytest' README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_runs(tmp_path: Path) -> None:
    write_images(tmp_path / "DIR", {"a": 40, "b": 40})
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    assert len(blocks("yaml")[0].splitlines()) <= 20
    (tmp_path / "IMAGE").write_bytes((tmp_path / "DIR" / "a" / "000.png").read_bytes())
    (tmp_path / "climber.py").write_text(blocks("python")[3])
    assert len(commands()) == 41
    for number, arguments in enumerate(commands()):
        run_nas(*small(arguments, number), cwd=tmp_path)
    assert len(read_trials(tmp_path / "runs" / "NAME")) == 3
    assert len(list((tmp_path / "family").iterdir())) == 3
    assert all(5.4e6 <= trial["metrics"]["macs"] <= 6e6 for trial in read_trials(tmp_path / "runs" / "mine"))


def small(arguments: list[str], number: int) -> list[str]:
    """The same command with less to do; searches on the images that README calls ``DIR`` go to ``runs/NAME`` first."""
    if arguments[0] == "train" and "--resume" in arguments:
        return arguments
    if "--resume" in arguments:
        return [*arguments[: arguments.index("--trials")], "--trials", "3"]
    if arguments[0] == "search":
        trains = {"--data", "--config"} & set(arguments)
        named = "runs/NAME" if "image_folder" in arguments else f"runs/{number}"
        loose = (
            ("--max-latency", "60s", "--set", "objective.max_latency_error=100") if "latency.json" in arguments else ()
        )
        out = () if "--out" in arguments else ("--out", named)
        longer = ("--set", "evaluator.epochs=2") if "asha" in arguments else ()
        return [*arguments, *(TINY if trains else ("--trials", "40")), *longer, *loose, *out]
    if "--fit" in arguments:
        return [
            *arguments,
            "--workers",
            "0",
            "--step",
            "0.5",
            "--tolerance",
            "0.6",
            *ONE_EPOCH,
            "--set",
            "confirm.rounds=2",
        ]
    if arguments[0] == "scale-study" and "--data" in arguments:
        return [
            *arguments[: arguments.index("--budgets")],
            "--budgets",
            "2",
            "--seeds",
            "1",
            "--workers",
            "0",
            *ONE_EPOCH,
        ]
    return [*arguments, *LESS.get(arguments[0], ())]


ONE_EPOCH = ("--set", "evaluator.epochs=1")
LESS = {
    "train": ("--epochs", "1", "--batch-size", "16"),
    "bench": ("--rounds", "3", "--resolution", "32", "--backends", "eager,onnxruntime"),
    "rediscover": ("--seeds", "1", "--trials", "30", "--sample", "200"),
    "trust": ("--networks", "3", "--seeds", "1", "--longer", "2", "--longer-seeds", "1", "--workers", "0"),
    "confirm": ("--epochs", "1", "--fraction", "0.2"),
    "latency": ("--rounds", "3"),
}


@pytest.mark.slow
def test_the_classes_in_python(tmp_path: Path) -> None:
    """A space of stage tables is checked, searched and scaled; one of modules checked and searched."""
    space, modules, evaluator, climber = blocks("python")
    assert max(len(block.splitlines()) for block in blocks("python")) < 30
    (tmp_path / "mine.py").write_text("\n".join([space, modules, evaluator, climber]))
    for name in ("Space", "Modules"):
        run_nas("check", f"mine.py:{name}", cwd=tmp_path)
        run_nas("search", "--space", f"mine.py:{name}", *TINY, "--out", name, cwd=tmp_path)
    run_nas("scale", "Space", "--phi", "1,2", cwd=tmp_path)
    assert "no stage tables" in run_nas("scale", "Modules", "--phi", "1", cwd=tmp_path, check=2).stderr
    fast = ("--evaluator", "mine.py:Evaluator", "--trials", "3", "--workers", "0")
    run_nas("search", "--space", "mine.py:Modules", *fast, "--out", "scored", cwd=tmp_path)
    mine = ("--controller", "mine.py:Climber", "--target-flops", "300M", "--trials", "12", "--out", "climbed")
    assert "12 by mine.py:Climber" in run_nas("search", *mine, cwd=tmp_path).stdout.replace(f"{tmp_path}/", "")
    assert {trial["metrics"]["accuracy"] for trial in read_trials(tmp_path / "scored")} <= {0.5, 0.51, 0.52, 0.53}


def test_the_spaces_and_networks_it_names_are_all_there_are() -> None:
    section = README.split("## Spaces and networks of the papers")[1].split("## ")[0]
    assert all(f"`{name}`" in section for name in space_names())
    families = {re.sub(r"[_0-9].*", "", name) for name in reference_names()}
    assert len(families) == 4 and all(f"`{family}" in section for family in families)


@pytest.mark.slow
@pytest.mark.parametrize("name", config_names())
def test_every_configuration_runs(name: str, tmp_path: Path) -> None:
    write_images(tmp_path / "images", {"a": 40, "b": 40})
    less = ("--trials", "2") if name == "default" else TINY
    run_nas("search", "--config", name, *less, "--out", "run", cwd=tmp_path)
    assert [trial["status"] for trial in read_trials(tmp_path / "run")] == ["ok", "ok"]
    assert f"`{name}`" in README


def test_the_folders_it_names_exist() -> None:
    for folder in re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE):
        assert (ROOT / folder).is_dir()
