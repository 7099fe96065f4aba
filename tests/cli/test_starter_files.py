"""What ``nas init`` writes works, says something of every key, and shows the true defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.starter_files import LEFT_OUT, starter_config
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.workers.settings import WorkerSettings
from nas.search.config import RunConfig, load_config
from nas.search.config_sections import ConfirmationSettings, FidelitySettings, ObjectiveSettings, TrackingSettings
from tests.toys import read_trials


@pytest.mark.parametrize("space", [None, "space.yaml"])
def test_the_file_is_a_configuration_and_its_comments_are_the_defaults(tmp_path: Path, space: str | None) -> None:
    text = starter_config("search.yaml", space)
    (tmp_path / "search.yaml").write_text(text)
    written = load_config(str(tmp_path / "search.yaml"), {}, [])
    freed = []  # the same with every commented value active
    for line in text.splitlines():
        plain = line.replace("# ", "", 1)
        key = plain.strip().partition(":")[0]
        is_value = (line.strip().startswith("# ") and key in KEYS and plain.strip() != f"{key}:") or plain == f"{key}:"
        freed.append(plain if is_value and line.strip().startswith("# ") else line)
    (tmp_path / "freed.yaml").write_text("\n".join(freed))
    assert len(yaml.safe_load("\n".join(freed))["workers"]) == len(WorkerSettings.model_fields)
    assert load_config(str(tmp_path / "freed.yaml"), {}, []).model_copy(update={"evaluator": {}}) == written.model_copy(
        update={"evaluator": {}}
    )


SECTIONS = (
    RunConfig,
    ObjectiveSettings,
    WorkerSettings,
    FidelitySettings,
    ConfirmationSettings,
    TrackingSettings,
    DataSettings,
    ProxySettings,
)
KEYS = {name for section in SECTIONS for name in section.model_fields} - set(LEFT_OUT)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_setting_is_described(section: type[BaseModel]) -> None:
    """The starter file takes its comments, and the command line its help, from these."""
    for name, field in section.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        assert is_section or field.description, name


def test_what_init_writes_is_checked_and_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    result = runner.invoke(app, ["init", "mine", "--space"])
    assert result.exit_code == 0 and "nas check mine/space.yaml" in result.output
    checked = runner.invoke(app, ["check", "mine/space.yaml", "--targets", "4M,6M", "--samples", "2"])
    assert checked.exit_code == 0, checked.output
    small = [
        "--trials",
        "2",
        "--workers",
        "0",
        "--set",
        "evaluator.epochs=1",
        "--set",
        "data.fraction=0.1",
        "--no-control",
    ]
    searched = runner.invoke(app, ["search", "--config", "mine/search.yaml", *small, "--no-report", "--out", "run"])
    assert searched.exit_code == 0, searched.output
    monkeypatch.chdir(tmp_path / "mine")  # the space is named as seen from the file
    again = runner.invoke(app, ["search", "--config", "search.yaml", *small, "--no-report", "--out", "run"])
    assert again.exit_code == 0, again.output
    assert all(5.4e6 <= trial["metrics"]["macs"] <= 6e6 for trial in read_trials(tmp_path / "run"))


def test_nothing_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search.yaml").write_text("mine")
    result = CliRunner().invoke(app, ["init", "--space"])
    assert result.exit_code == 2 and "search.yaml' exists already" in result.output
    assert (tmp_path / "search.yaml").read_text() == "mine" and not (tmp_path / "space.yaml").exists()
