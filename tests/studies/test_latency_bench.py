from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from nas.cli.app import app
from nas.core.errors import InputError
from nas.evaluate.cost.latency import timing
from nas.scale.find_network import find_network
from nas.studies.latency_bench import Latencies, as_rows, bench
from nas.studies.paper_tables import TABLE_4, paper_pair

SMALL, LARGE = (find_network(name).at(resolution=32) for name in ("mobilenet_v3_small", "resnet50"))


def test_every_backend_measures_every_network() -> None:
    backends = ("eager", "channels_last", "onnxruntime")
    rows = as_rows([LARGE, SMALL], bench([LARGE, SMALL], backends, rounds=3))
    assert [(row["backend"], row["name"]) for row in rows] == [
        (backend, name) for backend in backends for name in ("resnet50", "mobilenet_v3_small")
    ]
    assert all(row["latency_ms"] > 0 and row["error"] is None for row in rows)
    assert all(row["ratio"] == 1 for row in rows[1::2])


def test_a_backend_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = timing.runner

    def broken(module, shape, device, backend, threads):  # type: ignore[no-untyped-def]
        if backend == "compiled":
            raise RuntimeError("no compiler\nand a long story")
        return whole(module, shape, device, backend, threads)

    monkeypatch.setattr("nas.studies.latency_bench.runner", broken)
    failed, fine = bench([SMALL], ("compiled", "eager"), rounds=3)
    assert failed.error == "RuntimeError: no compiler" and failed.ratios() == () and fine.error is None


def test_the_papers_ratios() -> None:
    assert [round(pair.ratio, 1) for pair in TABLE_4] == [5.7, 6.1]
    assert paper_pair(["efficientnet_b1", "resnet152", "resnet50"]) == TABLE_4[0]
    assert paper_pair(["resnet152", "efficientnet_b0"]) is None


def test_an_unknown_backend_and_a_missing_device() -> None:
    with pytest.raises(InputError, match="did you mean 'eager'"):
        bench([SMALL], ("eagre",))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="CUDA"):
            bench([SMALL], ("eager",), device="cuda")


def test_the_command_prints_ratios_and_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["bench", "resnet152", "efficientnet_b1", "--resolution", "32", "--rounds", "3", "--backends", "eager"]
    rows = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [row["name"] for row in rows] == ["resnet152", "efficientnet_b1"]
    assert rows[0]["ratio"] == pytest.approx(rows[0]["latency_ms"] / rows[1]["latency_ms"])
    fixed = [Latencies("eager", (90.0, 12.0))]
    monkeypatch.setattr("nas.studies.latency_bench.bench", lambda *_, **__: fixed)
    lines = CliRunner().invoke(app, command).stdout.splitlines()
    (large,) = [line.split() for line in lines if line.split()[:2] == ["eager", "resnet152"]]
    assert large[-2:] == ["90.00", "7.50"]
    assert any("Table 4" in line and line.endswith("5.7x") for line in lines)
