"""The content of a report, section by section, as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from nas.core.records import Trial
from nas.core.units import count_words, format_quantity
from nas.evaluate.cost.stage_table_view import stage_table
from nas.report.control import control_section
from nas.report.evidence import choices_section, failures_section, trust_section
from nas.report.facts import Facts
from nas.report.layout import Page, PageSection, Table
from nas.report.onward import family_section, grid_section, repeat_section
from nas.report.random_search import random_search
from nas.report.search_charts import front_chart, hours_chart, progress_chart
from nas.report.supernet import supernet_section
from nas.report.tower import tower_chart
from nas.search.config_objective import budget
from nas.search.shared_weights import weights_of_front
from nas.weights.names import WEIGHTS

_FRONT_ROWS = 60
_WORDS = {
    "macs": "MACs",
    "params": "params",
    "latency_ms": "latency, ms",
    "measured_latency_ms": "measured latency, ms",
    "memory_bytes": "memory, bytes",
    "throughput": "images per second",
}


def make_page(facts: Facts, version: str, against: Facts | None = None) -> Page:
    """Return the page of a run; the search is compared with the run ``against`` if it is given."""
    sections = (
        _found(facts),
        control_section(facts),
        _baseline(facts),
        _search(facts, against),
        choices_section(facts),
        supernet_section(facts),
        trust_section(facts),
        failures_section(facts),
    )
    last = (grid_section(facts), family_section(facts), repeat_section(facts))
    return Page(
        title=facts.name,
        kind=f"Neural architecture search in space {_space(facts)}"
        if not facts.scaling
        else "Grid search of a scaling",
        lead=_lead(facts),
        sections=tuple(section for section in (*sections, *last) if section is not None),
        footer=f"Written by nas {version}. MACs are multiply-adds, which the papers call FLOPS.",
        cautions=tuple(_cautions(facts)),
    )


def _space(facts: Facts) -> str:
    return facts.trials[0].architecture.space


def _lead(facts: Facts) -> str:
    best = facts.best
    trials = count_words(len(facts.trials), "trial")
    if best is None:
        return f"{trials}, none of which succeeded; the reasons are below."
    costs = [
        f"{format_quantity(best.metrics[name])} {word}"
        for name, word in (("macs", "MACs"), ("params", "params"))
        if name in best.metrics
    ]
    where = f" at {', '.join(costs)}" if costs else ""
    control = None if facts.result is None else facts.result.control
    worth = "" if control is None else f" It is {control.verdict}."
    begun = "" if facts.has_ended else " The search has not finished; this is the best so far."
    return f"The best of {trials} by reward: {_reached(facts, best)}{where}.{worth}{begun}"


def _reached(facts: Facts, best: Trial) -> str:
    """Return the least biased estimate of the best trial's accuracy as text, and other known accuracies in brackets."""
    result = facts.result
    if result is not None and result.predicted is not None:
        searched = f"{result.searched_accuracy:.2%} by the fit that the search used"
        return f"{result.accuracy:.2%} predicted accuracy ({searched})"
    kind = "predicted" if facts.config.evaluator_kind.is_predicted else "validation"
    if result is None:
        return f"{best.metrics['accuracy']:.2%} {kind} accuracy"
    test = result.test_accuracy
    tested = "" if test is None else f" ({test:.2%} on the test split, which the search never used)"
    mean = "" if result.confirmed is None else " (mean of its confirming trainings)"
    return f"{result.accuracy:.2%} {kind} accuracy{mean}{tested}"


def _cautions(facts: Facts) -> list[str]:
    if facts.config.evaluator_kind.is_predicted:
        where = " See the section on trust." if facts.result is not None and facts.result.predicted is not None else ""
        return [
            "ImageNet accuracies on this page are predictions of a model, which was fitted to networks that "
            "Accel-NASBench trained for 16 epochs; they are not accuracies of full training. The best prediction of "
            "a model is an over-estimate." + where
        ]
    if facts.best is not None and facts.config.proxy is not None:
        return ["Accuracies are those of short proxy trainings, not of full training; to train in full, use nas train."]
    return []


def _budget(facts: Facts) -> Table:
    best, rows = facts.best, list[tuple[str, str, str, str]]()
    metrics = {} if best is None else dict(best.metrics)
    if facts.result is not None and facts.result.measured_latency_ms is not None:
        metrics["measured_latency_ms"] = facts.result.measured_latency_ms
    said = set()
    for limit in budget(facts.config):
        said.add(limit.metric)
        value = metrics.get(limit.metric)
        bound = limit.low if math.isinf(limit.high) else limit.high
        share = "" if value is None or not bound else f"{value / bound:.1%} of the limit"
        rows.append(
            (_WORDS.get(limit.metric, limit.metric), str(limit), "" if value is None else _number(value), share)
        )
    target = facts.config.objective.target_flops
    if target is not None and "macs" not in said and "macs" in metrics:
        rows.append(
            (
                "MACs",
                f"target {format_quantity(target)}, no band",
                _number(metrics["macs"]),
                f"{metrics['macs'] / target:.1%} of the target",
            )
        )
    for name, words in _WORDS.items():
        if name in metrics and name not in said and not (name == "macs" and target is not None):
            rows.append((words, "no limit", _number(metrics[name]), ""))
    config, done = facts.config, len(facts.trials)
    asked = f"{config.trials:,}" if not config.is_open_ended else "as many as the time allows"
    rows.append(("trials", asked, f"{done:,}", ""))
    spent = facts.hours()[-1]
    if not facts.is_predicted:
        short = spent < 0.5
        seconds = (
            f"{60 * spent if short else spent:.3g} {facts.hours_unit.replace('hours', 'minutes' if short else 'hours')}"
        )
        clock = "" if facts.clock_s is None else f", {facts.clock_s / 3600:.3g} h of wall-clock time"
        rows.append(("time", config.budget or "no limit", seconds + clock, ""))
    return Table("Requested and reached", ("cost", "requested", "reached", "share"), rows, ("reached",))


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _found(facts: Facts) -> PageSection:
    chart = front_chart(facts)
    front = facts.front
    measured = [name for name in ("macs", "params", "latency_ms") if any(name in trial.metrics for trial in front)]
    columns = ["trial", "accuracy", *measured, "reward"]
    heads = tuple(_WORDS.get(name, name) for name in columns)
    rows = [[_cell(trial, name) for name in columns] for trial in _spread(front, _FRONT_ROWS)]
    if facts.config.has_supernet and facts.result is not None:
        heads, files = (*heads, "weights"), weights_of_front(facts.result.number, front)
        rows = [[*row, _kept(facts.path / files[int(row[0])])] for row in rows]
    some = "" if len(front) <= _FRONT_ROWS else f": {_FRONT_ROWS} of {len(front)}, evenly spread; all are in front.csv"
    table = Table(f"The Pareto front{some}", heads, rows, heads[1 : len(columns)], folded=True)
    tables = (_budget(facts), *((table,) if front else ()))
    return PageSection("front", "Budget and result", charts=(chart,) if chart else (), tables=tables)


def _cell(trial: Trial, name: str) -> str:
    if name == "trial":
        return str(trial.number)
    if name == "reward":
        return "" if trial.reward is None else f"{trial.reward:.4f}"
    value = trial.metrics.get(name)
    return "" if value is None else f"{value:.2%}" if name == "accuracy" else _number(value)


def _kept(path: Path) -> str:
    """Return the place of a network's weights in the run's directory; empty if they were not kept."""
    return "" if not path.is_file() else path.name if path.name == WEIGHTS else f"{path.parent.name}/{path.name}"


def _spread(trials: Sequence[Trial], most: int) -> list[Trial]:
    if len(trials) <= most:
        return list(trials)
    return [trials[round(place * (len(trials) - 1) / (most - 1))] for place in range(most)]


def _baseline(facts: Facts) -> PageSection | None:
    if facts.network is None:
        best = facts.best
        if best is None or not best.choices:
            return None
        rows = [(name, str(value)) for name, value in best.choices.items()]
        return PageSection("baseline", "The best network", tables=(Table("Its choices", ("decision", "choice"), rows),))
    content = stage_table(facts.network)
    table = Table(
        f"{facts.network.name}, {facts.network.resolution} px, {facts.network.classes} classes",
        content.columns,
        [*content.rows, content.total],
        content.right,
    )
    chart = tower_chart(facts.network)
    compared = _against_b0(facts)
    return PageSection("baseline", "The baseline", charts=(chart,) if chart else (), tables=(*compared, table))


def _against_b0(facts: Facts) -> tuple[Table, ...]:
    if facts.result is None or facts.result.predicted is None:
        return ()
    sides = [facts.result.predicted.found, facts.result.predicted.efficientnet_b0]
    longer = (f"{side.accuracy_longer:.2%} ± {100 * side.accuracy_longer_std:.2f}" for side in sides)
    rows = [
        ("MACs", *(f"{side.macs:,}" for side in sides)),
        ("params", *(f"{side.params:,}" for side in sides)),
        ("predicted top-1, 16 epochs", *(f"{side.accuracy:.2%} ± {100 * side.accuracy_std:.2f}" for side in sides)),
        ("predicted top-1, 5.5 times longer", *longer),
    ]
    return (
        Table(
            "Compared with EfficientNet-B0, by a fit that the search did not use",
            ("figure", "found", "EfficientNet-B0"),
            rows,
            ("found", "EfficientNet-B0"),
        ),
    )


def _search(facts: Facts, against: Facts | None) -> PageSection | None:
    random = random_search(facts, against)
    drawn = progress_chart(facts, random), hours_chart(facts, random, against)
    charts = [chart for chart in drawn if chart is not None]
    config = facts.config
    text = f"Proposed by {config.controller['name']}, scored by {config.evaluator['name']}, seed {config.seed}."
    return PageSection("search", "The search", (text,), tuple(charts)) if charts else None
