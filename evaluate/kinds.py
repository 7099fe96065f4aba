"""Evaluators by name, and the properties of each that are known before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from nas.core.errors import InputError, nearest_name
from nas.core.section import Section
from nas.core.user_code import UserCode
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.supernet.settings import SharedWeightsSettings

DEFAULT = "proxy"


class NoSettings(Section):
    """Settings of an evaluator without options."""


class TableSettings(Section):
    """Settings of the evaluator ``table``."""

    path: str = Field(min_length=1)
    """FILE.json: a map from comma-joined genes to metrics."""


@dataclass(frozen=True, slots=True)
class EvaluatorKind:
    """Properties of an evaluator.

    Attributes:
        summary: description in one line.
        settings: section of its options; ``None`` for a user's class, whose constructor takes them.
        needs_data: whether it needs images.
        can_test: whether it has ``test``, which scores a network on images that the search never used.
        is_instant: whether it trains nothing, so that workers are not worth starting.
        reads_genes: whether it reads the genes itself, so that they need not change the network.
        is_predicted: whether its accuracies are predicted by a model of ImageNet trainings.
    """

    summary: str
    settings: type[Section] | None = None
    needs_data: bool = False
    can_test: bool = False
    is_instant: bool = False
    reads_genes: bool = False
    is_predicted: bool = False


EVALUATORS: dict[str, EvaluatorKind] = {
    "proxy": EvaluatorKind(
        "trains each network for a few epochs and scores it on the validation split",
        ProxySettings,
        needs_data=True,
        can_test=True,
    ),
    "supernet": EvaluatorKind(
        "scores each network with the weights of nas supernet train, and trains nothing: --supernet FOLDER",
        SharedWeightsSettings,
        needs_data=True,
        can_test=True,
    ),
    "imagenet": EvaluatorKind(
        "predicts ImageNet accuracy of networks on EfficientNet-B0's skeleton, from thousands of trained networks",
        NoSettings,
        is_instant=True,
        is_predicted=True,
    ),
    "table": EvaluatorKind(
        "looks metrics up in a JSON file: --set evaluator.path=FILE.json, a map from comma-joined genes to metrics",
        TableSettings,
        is_instant=True,
    ),
}
_USERS_OWN = EvaluatorKind("a class of the user's own")
"""Properties assumed for FILE.py:Class before the file is read."""


def evaluator_kind(name: str) -> EvaluatorKind:
    """Return the properties of an evaluator that its name determines, without running a user's file.

    Raises:
        InputError: if there is no evaluator of that name.
    """
    if ".py" in name:
        return _USERS_OWN
    if name not in EVALUATORS:
        raise InputError(
            f"evaluator: expected FILE.py:Class or a built-in one, got '{name}'{nearest_name(name, EVALUATORS)}"
        )
    return EVALUATORS[name]


def kind_of_class(code: UserCode) -> EvaluatorKind:
    """Return the properties of a user's class: its attributes, and whether it has ``test``.

    Raises:
        InputError: if the file cannot be read or run, or has no such class.
    """
    kind = code.load()
    return EvaluatorKind(
        summary=_USERS_OWN.summary,
        needs_data=bool(getattr(kind, "needs_data", False)),
        can_test=callable(getattr(kind, "test", None)),
        is_instant=bool(getattr(kind, "is_instant", False)),
        reads_genes=bool(getattr(kind, "reads_genes", False)),
    )
