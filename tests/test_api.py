"""The door for scripts and notebooks."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.core.errors import InputError
from nas.core.records import Trial
from nas.search.callback import SearchCallback
from nas.search_spaces.catalogue import reference_network
from tests.toys import TOY_EVALUATORS, comparable, run_nas


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> nas.SearchResult:
    path = tmp_path_factory.mktemp("api") / "run"
    return nas.search(target_flops="400M", trials=40, out=path, settings={"report": False}, quiet=True)


def test_a_search_is_the_command_lines(result: nas.SearchResult, tmp_path: Path) -> None:
    run_nas("search", "--target-flops", "400M", "--trials", "40", "--out", "run", cwd=tmp_path)
    assert comparable(result.path) == comparable(tmp_path / "run")
    again = nas.load(tmp_path / "run")
    assert isinstance(again, nas.SearchResult)
    assert replace(again.baseline, seconds=0) == replace(result.baseline, seconds=0)
    assert (again.macs, again.params) == (result.macs, result.params)
    assert again.network is not None and again.accuracy == result.accuracy and again.test_accuracy is None
    assert [trial.number for trial in again.front] == [trial.number for trial in result.front]


def test_a_quiet_search_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nas.search(target_flops="400M", trials=2, out=tmp_path / "quiet", settings={"report": False}, quiet=True)
    assert capsys.readouterr().out == ""
    nas.search(target_flops="400M", trials=2, out=tmp_path / "loud", settings={"report": False})
    assert "Baseline" in capsys.readouterr().out


def test_the_api_loads_no_command_line(tmp_path: Path) -> None:
    code = (
        "import sys, nas\n"
        f"nas.search(target_flops='400M', trials=2, out={str(tmp_path / 'run')!r}, quiet=True)\n"
        "print([name for name in ('typer', 'click', 'rich.live', 'nas.cli') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_callbacks_hear_of_every_trial(tmp_path: Path) -> None:
    numbers: list[int] = []

    class Counts(SearchCallback):
        def trial_finished(self, trial: Trial, details: str) -> None:  # noqa: ARG002
            numbers.append(trial.number)

    nas.search(
        target_flops="400M",
        trials=3,
        out=tmp_path / "run",
        settings={"report": False},
        quiet=True,
        callbacks=[Counts()],
    )
    assert sorted(numbers) == [0, 1, 2]


def test_packages_of_the_same_name_do_not_hide_the_functions() -> None:
    import nas.scale.family
    import nas.search.loop

    assert callable(nas.search) and callable(nas.scale)


def test_a_search_may_run_in_a_thread(tmp_path: Path) -> None:
    found: list[nas.SearchResult] = []
    path = tmp_path / "run"
    work = threading.Thread(
        target=lambda: found.append(
            nas.search(target_flops="400M", trials=2, out=path, settings={"report": False}, quiet=True)
        )
    )
    work.start()
    work.join()
    assert len(found[0].trials) == 2


def test_an_interruption_is_the_programs(tmp_path: Path) -> None:
    (tmp_path / "toys.py").write_text(
        TOY_EVALUATORS + "\nclass Interrupts:\n    def evaluate(self, architecture, network):\n"
        "        raise KeyboardInterrupt\n"
    )
    with pytest.raises(KeyboardInterrupt):
        nas.search(space="small-images", evaluator=f"{tmp_path}/toys.py:Interrupts", workers=0, out=tmp_path / "run")


def test_notebooks_show_tables_and_the_front(result: nas.SearchResult) -> None:
    shown = result._repr_html_()
    assert "<svg" in shown and 'id="front-trials"' in shown and "stage7" in shown and f"{result.macs:,}" in shown
    network = nas.load("efficientnet_b0")
    assert isinstance(network, nas.LoadedNetwork)
    assert "385.8M MACs" in network._repr_html_() and (network.macs, network.params) == (385_814_752, 5_288_548)
    family = nas.scale(network, official="b1..b2")
    assert (
        len(family) == 2
        and "efficientnet_b2" in family._repr_html_()
        and [m.network.resolution for m in family] == [240, 260]
    )


def test_whatever_is_a_network_is_scaled(result: nas.SearchResult, tmp_path: Path) -> None:
    base = reference_network("efficientnet_b0")
    expected = nas.scale("efficientnet_b0", phi=1)[0].network
    for thing in (base, nas.load("efficientnet_b0")):
        assert nas.scale(thing, phi=[1])[0].network == expected
    files = nas.scale(result, phi=[1, 2]).save(tmp_path / "family")
    assert [file.name for file in files] == ["run-baseline_phi1.yaml", "run-baseline_phi2.yaml"]
    loaded = nas.load(files[0])
    assert isinstance(loaded, nas.LoadedNetwork)
    import torch

    module = nas.LoadedNetwork(loaded.network.at(resolution=32), loaded.source).module().eval()
    assert module(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_mistakes_are_told() -> None:
    with pytest.raises(InputError, match="either phi"):
        nas.scale("efficientnet_b0")
    with pytest.raises(InputError, match="did you mean 'efficientnet_b0'"):
        nas.load("eficientnet_b0")
    for wrong in ("1,2", [], [None], "x"):
        with pytest.raises(InputError, match="phi: expected a number or several"):
            nas.scale("efficientnet_b0", phi=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="coefficients of their own"):
        nas.scale("efficientnet_b0", official="b1", alpha=3.0)
    with pytest.raises(InputError, match="settings: expected a mapping"):
        nas.search(settings=["a"])  # type: ignore[arg-type]
    assert len(nas.scale("efficientnet_b0", phi=np.array([1, 2]))) == 2  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        nas.serach  # noqa: B018
    assert {"search", "scale", "load"} <= set(dir(nas))
