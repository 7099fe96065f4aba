"""Mutated inputs: every reader takes them, or refuses them in one message; none ends in a traceback or hangs.

``python -m tests.fuzz.fuzzer [CASES]`` prints, for each kind of input, how many cases were refused, how many raised
anything else, how many took too long, and the longest message.
"""

from __future__ import annotations

import json
import logging
import math
import random
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nas.core.errors import InputError, WorkError
from nas.evaluate.workers.guard import TimeLimitExceeded, time_limit
from tests.toys import TINY_FORM

SEED = 20260101
LIMIT_S = 10.0
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 10**6, 10**18, 10**40, 10**400, -(10**400), 0.1, -0.5, 1e-320, 1e300, -1e308,
    math.inf, -math.inf, math.nan, "", " ", "x", "1e999", "1e-3", "0x10", "010", "1:30", "yes", "no", "null", "~",
    "2019-01-01", "2021-13-45", "\ud800", "\x00", "\u202e", "é", "../../x", "a" * 300, "9" * 400, "-", "[", "{", "&a",
    "!!python/object:os.system", "!!timestamp x", "400M", "-5K", "mbconv6", "r1_k3_s11_e1_i32_o16_se0.25", [], {}, [[]],
    [None], {"": 0}, {"a": {"b": []}}, [1, 2, 3] * 50,
)  # fmt: skip
SCRAPS: tuple[str, ...] = (
    "[",
    "]",
    "{",
    "}",
    ":",
    "-",
    "&a ",
    "*a",
    "!!",
    "!!binary ",
    "!!timestamp ",
    "? ",
    "|",
    ">",
    "\t",
    "\n",
    "\r",
)
SCRAPS += (
    "\x00",
    "\ufeff",
    "\\ud800",
    "1e999",
    "NaN",
    "<<: *a",
    "---\n",
    "...\n",
    "%YAML 9\n",
    "'",
    '"',
    "#",
    ",",
    ", ,",
)


@dataclass
class Tally:
    """What became of the cases of a kind."""

    kind: str
    cases: int = 0
    refused: int = 0
    tracebacks: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    longest: str = ""

    def line(self) -> str:
        """Return the tally in one line."""
        return (
            f"{self.kind:<21} {self.cases:>6} cases {self.refused:>6} refused {len(self.tracebacks):>3} tracebacks "
            f"{len(self.hangs):>3} hangs, longest message {len(self.longest)}"
        )


def fuzz(kind: str, cases: int, folder: Path) -> Tally:
    """Try mutated inputs of a kind.

    Args:
        kind: a key of ``KINDS``.
        cases: number of cases.
        folder: a folder for files.
    """
    generator, tally = random.Random(f"{SEED} {kind}"), Tally(kind)
    make, read = KINDS[kind]()
    for _ in range(cases):
        text = mutated(make(), generator)
        tally.cases += 1
        try:
            with time_limit(LIMIT_S):
                read(text, folder)
        except (InputError, WorkError) as error:
            tally.refused += 1
            tally.longest = max(tally.longest, str(error), key=len)
        except TimeLimitExceeded:
            tally.hangs.append(text[:2000])
        except Exception:
            tally.tracebacks.append(f"{text[:200]!r}\n{traceback.format_exc()[-1500:]}")
    return tally


def mutated(valid: Any, generator: random.Random) -> str:
    """Return a mutated document as text: a value changed, or the text itself damaged, or both."""
    style = generator.random()
    if isinstance(valid, str):
        return damaged(valid, generator)
    changed = json.loads(json.dumps(valid))
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        changed = with_a_change(changed, generator)
    text = _nested(generator) if style < 0.02 else _dumped(changed, generator)
    return damaged(text, generator) if style > 0.7 else text


def with_a_change(value: Any, generator: random.Random, depth: int = 0) -> Any:
    """Return a copy of plain values with one of them replaced, removed, repeated or moved."""
    if isinstance(value, dict) and value and (depth == 0 or generator.random() < 0.8):
        key = generator.choice(list(value))
        action = generator.random()
        rest = {name: item for name, item in value.items() if name != key}
        if action < 0.1:
            return rest
        if action < 0.2:
            return {**rest, str(generator.choice(HOSTILE)): value[key]}
        if action < 0.25:
            return {**value, f"{key}{generator.choice(('s', '_', ' ', '.x'))}": value[key]}
        return {**value, key: with_a_change(value[key], generator, depth + 1)}
    if isinstance(value, list) and value and generator.random() < 0.8:
        place = generator.randrange(len(value))
        action = generator.random()
        if action < 0.1:
            return value[:place] + value[place + 1 :]
        if action < 0.2:
            return [*value, value[place]]
        return [*value[:place], with_a_change(value[place], generator, depth + 1), *value[place + 1 :]]
    return generator.choice(HOSTILE)


def damaged(text: str, generator: random.Random) -> str:
    """Return a text with pieces cut, repeated, swapped or inserted."""
    for _ in range(generator.choice((1, 1, 2, 4))):
        place = generator.randrange(len(text) + 1)
        end = min(len(text), place + generator.choice((1, 2, 5, 20)))
        action = generator.random()
        if action < 0.3:
            text = text[:place] + text[end:]
        elif action < 0.5:
            text = text[:end] + text[place:end] * generator.choice((1, 3, 50)) + text[end:]
        elif action < 0.8:
            text = text[:place] + generator.choice(SCRAPS) * generator.choice((1, 1, 2, 300)) + text[place:]
        else:
            text = text[:place] + chr(generator.randrange(1, 0x3000)) + text[place:]
    return text


def _nested(generator: random.Random) -> str:
    depth = generator.choice((60, 200, 3000))
    opening, closing = generator.choice((("[", "]"), ('{"a":', "}"), ('{"stages":', "}")))
    return f'{{"name": {opening * depth}1{closing * depth}}}'


def _dumped(value: Any, generator: random.Random) -> str:
    if generator.random() < 0.3:
        try:
            return yaml.dump(value, allow_unicode=True, sort_keys=False)
        except Exception:  # PyYAML cannot write every text
            pass
    return json.dumps(value)


Reader = Callable[[str, Path], object]
Kind = Callable[[], tuple[Callable[[], Any], Reader]]


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode(errors="surrogatepass"))
    return path


def _network() -> tuple[Callable[[], Any], Reader]:
    from nas.evaluate.cost.exact import network_cost
    from nas.search_spaces.catalogue import reference_network
    from nas.search_spaces.yaml_format import load_network, network_to_dict

    def read(text: str, folder: Path) -> object:
        return network_cost(load_network(_file(folder, "net.yaml", text)))

    return lambda: network_to_dict(reference_network("mobilenet_v3_small")), read


def _space() -> tuple[Callable[[], Any], Reader]:
    import numpy as np

    from nas.search_spaces import space as spaces
    from nas.search_spaces.stage_table import StageTableSpace

    def read(text: str, folder: Path) -> object:
        space = StageTableSpace.from_yaml(_file(folder, "space.yaml", text))
        return spaces.decode(space, spaces.sample(space, np.random.default_rng(0)))

    return lambda: {**TINY_FORM, "activation": "relu", "width": 1.0}, read


def _config() -> tuple[Callable[[], Any], Reader]:
    from nas.search.config import RunConfig, load_config, with_absolute_paths

    def read(text: str, folder: Path) -> object:
        return with_absolute_paths(load_config(str(_file(folder, "run.yaml", text)), {}, []))

    return lambda: RunConfig().model_dump(mode="json"), read


def _setting() -> tuple[Callable[[], Any], Reader]:
    from nas.search.config import load_config

    def read(text: str, folder: Path) -> object:  # noqa: ARG001
        return load_config("proxy", {}, [text])

    settings = ("evaluator.learning_rate=1e-3", "objective.limits={params: 5M}", "data.classes=[a, b]", "trials=10")
    turn = iter(range(10**9))
    return lambda: settings[next(turn) % len(settings)], read


def _table() -> tuple[Callable[[], Any], Reader]:
    from nas.evaluate.table import TableEvaluator
    from nas.search_spaces.stage_table import StageTableSpace

    space = StageTableSpace(TINY_FORM)
    rows = {f"{a},0,0,{b},0": {"accuracy": 0.5, "macs": 100 + b, "latency_ms": 1.5} for a in (0, 1) for b in (0, 1, 2)}
    return lambda: rows, lambda text, folder: TableEvaluator.read(_file(folder, "table.json", text), space)


def _latency_table() -> tuple[Callable[[], Any], Reader]:
    from nas.evaluate.cost.latency.device import table_note
    from nas.evaluate.cost.latency.table import read_table

    row = {"genes": [0, 1], "predicted_ms": 1.0, "measured_ms": 1.1}
    table = {
        "space": "tiny", "device": "cpu", "backend": "eager", "threads": 1, "batch": 1, "operators_ms": {"a": 0.5},
        "scale": 1.0, "intercept_ms": 0.1, "machine": {"processor": "x"}, "seconds": 1.0,
        "validation": {"mape": 0.02, "kendall_tau": 0.9, "spearman": 0.95, "networks": [row]},
    }  # fmt: skip
    return lambda: table, lambda text, folder: table_note(read_table(_file(folder, "latency.json", text)))


def _journal() -> tuple[Callable[[], Any], Reader]:
    from nas.report.content import make_page
    from nas.report.facts import Facts
    from nas.search.run_directory import read_journal

    row = {
        "number": 0, "genes": [0, 0, 0, 0, 0], "choices": {"a": 1, "b": "x"}, "status": "ok", "reward": 0.4,
        "metrics": {"accuracy": 0.5, "macs": 1000, "params": 50, "own": 3.0}, "seconds": 1.5, "error": None,
        "space": "tiny",
    }  # fmt: skip
    drawn = iter(range(10**9))

    def read(text: str, folder: Path) -> object:
        from nas.search.config import RunConfig

        run = folder / "run"
        run.mkdir(exist_ok=True)
        one = {**row, "number": 1, "metrics": {**row["metrics"], "accuracy": 0.6}}  # type: ignore[dict-item]
        lines = json.dumps(one) + "\n" + text.replace("\n", " ") + "\n"
        (run / "trials.jsonl").write_bytes(lines.encode(errors="surrogatepass"))
        trials = read_journal(run, RunConfig())
        if next(drawn) % 40 == 0:
            (run / "config.yaml").write_text(yaml.safe_dump(RunConfig().model_dump(mode="json")))
            make_page(Facts.read(run), "0")
        return trials

    return lambda: row, read


def _controller(name: str) -> Kind:
    def kind() -> tuple[Callable[[], Any], Reader]:
        from nas.controllers.registry import make_controller
        from nas.core.documents import parse_json
        from nas.testing.toy_tasks import play, tiny_task

        task = tiny_task()
        options: dict[str, Any] = {
            "predictor": {"initial": 3, "candidates": 20},
            "evolution": {"population": 4, "sample": 2},
        }.get(name, {})

        def read(text: str, folder: Path) -> object:  # noqa: ARG001
            controller = make_controller(name, task, 0, options)
            controller.load_state_dict(parse_json(text, "state"))
            return controller.ask(2)

        played = make_controller(name, task, 0, options)
        play(played, task, 8)
        state = json.loads(json.dumps(played.state_dict()))
        return lambda: state, read

    return kind


def _result() -> tuple[Callable[[], Any], Reader]:
    from nas.search.result import Result

    result = Result(number=0, accuracy=0.5, searched_accuracy=0.5, macs=10, choices={"a": 1}, trials={"ok": 1})

    def read(text: str, folder: Path) -> object:
        _file(folder, "result.json", text)
        logging.disable(logging.WARNING)  # a damaged result is ignored with a warning
        try:
            return Result.read(folder)
        finally:
            logging.disable(logging.NOTSET)

    return lambda: json.loads(result.to_json()), read


def _weights() -> tuple[Callable[[], Any], Reader]:
    import torch
    from safetensors.torch import save_file

    from nas.search_spaces.yaml_format import network_from_dict, network_to_dict
    from nas.weights.file import ABOUT, FORMAT, Weights

    form = {key: value[0] if isinstance(value, list) and key != "stages" else value for key, value in TINY_FORM.items()}
    form["stages"] = [
        {key: value[0] if isinstance(value, list) else value for key, value in stage.items()}
        for stage in TINY_FORM["stages"]
    ]
    about = {
        "format": FORMAT, "network": network_to_dict(network_from_dict(form)), "classes": ["a", "b"], "mean": [1.0] * 3,
        "std": [1.0] * 3, "crop_share": 0.9, "interpolation": "bilinear", "pixel_range": {"low": 0, "high": 9},
        "images": {"images": "a", "held_out": "b", "classes": {"a": [1, 1, 1]}},
        "seen": {"digests": "AQAAAAAAAAACAAAAAAAAAA==", "count": 2},
    }  # fmt: skip

    def read(text: str, folder: Path) -> object:
        path = folder / "weights.safetensors"
        if (clean := text.encode(errors="replace").decode()) != text:
            return None
        save_file({"a": torch.zeros(2)}, path, {ABOUT: clean})
        return Weights.read(path)

    return lambda: about, read


def _prepared() -> tuple[Callable[[], Any], Reader]:
    import numpy as np

    from nas.evaluate.data.prepared import FORMAT, META, open_prepared

    meta = {
        "format": FORMAT, "source": "x", "fingerprint": "y", "resolution": 2, "view": "2px", "classes": ["a", "b"],
        "mirrored": True, "parts": ["all"], "skipped": [], "notes": [], "range": [0, 5], "modes": {"RGB": 3},
        "digests": {"all.images.npy": "x"},
    }  # fmt: skip

    def read(text: str, folder: Path) -> object:
        np.save(folder / "all.images.npy", np.zeros((3, 2, 2, 3), dtype=np.uint8))
        for name, kind in (("labels", np.int64), ("readable", bool), ("contents", np.uint64), ("aspects", np.float32)):
            np.save(folder / f"all.{name}.npy", np.zeros(3, dtype=kind))
        _file(folder, META, text)
        return open_prepared(folder)

    return lambda: meta, read


def _quantity() -> tuple[Callable[[], Any], Reader]:
    from nas.core import units

    parsers = [units.parse_count, units.parse_bytes, units.parse_seconds, units.parse_milliseconds]

    def read(text: str, folder: Path) -> object:  # noqa: ARG001
        parser = parsers[len(text) % len(parsers)]
        return parser(text, "a quantity")

    return lambda: "400M", read


def _inputs() -> tuple[Callable[[], Any], Reader]:
    from nas.search.config import RunConfig
    from nas.search.inputs import INPUTS, MANIFEST, kept_inputs, resolve_inputs

    listed = {"path": "/nowhere/space.yaml", "relative": "../space.yaml", "class": "", "files": {"space.yaml": "0"}}

    def read(text: str, folder: Path) -> object:
        (folder / INPUTS).mkdir(exist_ok=True)
        _file(folder / INPUTS, MANIFEST, text)
        config = RunConfig(space=str(folder / "nowhere.yaml"))
        kept_inputs(folder, config)
        return resolve_inputs(folder, config)

    return lambda: {"space": listed, "data": {"path": "/x", "relative": "../x"}}, read


KINDS: dict[str, Kind] = {
    "network": _network,
    "space": _space,
    "configuration": _config,
    "setting": _setting,
    "table": _table,
    "latency table": _latency_table,
    "journal": _journal,
    **{
        f"controller {name}": _controller(name) for name in ("evolution", "local", "nsga2", "predictor", "random", "rl")
    },
    "result": _result,
    "weights": _weights,
    "prepared": _prepared,
    "quantity": _quantity,
    "inputs": _inputs,
}


def main() -> None:
    """Print the tally of every kind, and the first tracebacks and hangs."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for kind in [" ".join(sys.argv[2:])] if sys.argv[2:] else KINDS:
        with tempfile.TemporaryDirectory() as folder:
            tally = fuzz(kind, cases, Path(folder))
        print(tally.line(), flush=True)
        seen = set()
        for one in tally.tracebacks:
            if (last := one.strip().splitlines()[-1][:100]) not in seen:
                seen.add(last)
                print(one[-1800:])
        for one in tally.hangs[:2]:
            print("HANG", one[:400])


if __name__ == "__main__":
    main()
