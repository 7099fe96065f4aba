"""A network drawn to scale: every layer's output as a bar, as wide as its channels and as high as its feature map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.core.errors import InputError
from nas.core.units import format_quantity
from nas.evaluate.cost.exact import cost_by_part
from nas.report.chart import BLUE, GREEN, GREY, ORANGE, PINK, SKY, Chart, new_chart
from nas.search_spaces.catalogue import reference_network
from nas.search_spaces.network import Network
from nas.search_spaces.operations import realise
from nas.search_spaces.parts import EXPAND, Stage, output_size

_KERNEL_COLOURS = {1: GREY, 3: BLUE, 5: ORANGE, 7: GREEN}


@dataclass(frozen=True, slots=True)
class Bar:
    """One layer's output.

    Attributes:
        stage: number of the layer's stage, 1-based.
        channels: number of output channels.
        size: side of the output's feature maps in pixels.
        kernel: kernel size of the layer's spatial convolution.
        excited: whether the layer has squeeze-and-excitation.
    """

    stage: int
    channels: int
    size: int
    kernel: int
    excited: bool


def bars(network: Network) -> list[Bar]:
    """Return a network's layers from input to output; stem and head are left out."""
    found, channels, size = [], network.stem.channels, network.stem_size
    for number, stage in enumerate(network.stages, start=1):
        for layer in realise(stage, channels, size):
            found.append(Bar(number, layer.out_channels, layer.out_size, stage.kernel, bool(stage.se)))
        channels, size = stage.channels, output_size(size, stage.stride)
    return found


def tower_chart(network: Network, beside: str = "efficientnet_b0") -> Chart | None:
    """Draw a network beside a reference, both at the network's resolution and to one scale."""
    networks = [network]
    try:
        other = reference_network(beside).at(resolution=network.resolution, classes=network.classes)
    except InputError:
        other = None
    if other is not None:
        networks.append(other)
    columns = [bars(one) for one in networks]
    if not all(columns):
        return None
    widest = max(bar.channels for column in columns for bar in column)
    tallest = max(sum(bar.size for bar in column) for column in columns)
    figure, axes = new_chart(4.4, rows=1, columns=len(networks))
    figure.get_layout_engine().set(wspace=0.02)
    for place, (one, column) in enumerate(zip(networks, columns, strict=True)):
        _draw(axes[place] if len(networks) > 1 else axes, one, column, widest, tallest)
    _legend(figure, columns)
    names = " and ".join(one.name for one in networks)
    caption = (
        f"{names} at {network.resolution} px, to one scale: a bar is a layer's output, as wide as its channels "
        f"(the widest has {widest}) and as high as its feature map's side; hatched bars have squeeze-and-excitation. "
        "The text beside a stage gives its operation, kernel, channels × layers, and share of the MACs. Stem and head "
        "are left out."
    )
    return Chart(
        "stages",
        "The baseline, stage by stage",
        caption,
        figure,
        f"Diagram of {names}; their stage tables are on this page.",
    )


def _draw(axes: Any, network: Network, column: Sequence[Bar], widest: int, tallest: int) -> None:
    from matplotlib.patches import Rectangle

    costs = [cost.macs for _, cost in cost_by_part(network)]
    top, starts = 0.0, dict[int, float]()
    for bar in column:
        starts.setdefault(bar.stage, top)
        axes.add_patch(
            Rectangle(
                (-bar.channels / 2, top),
                bar.channels,
                bar.size,
                facecolor=_KERNEL_COLOURS.get(bar.kernel, PINK),
                edgecolor="white",
                linewidth=0.8,
                hatch="/////" if bar.excited else None,
            )
        )
        top += bar.size
    ends = [*list(starts.values())[1:], top]
    shown_at = -1.0
    for (stage, start), end in zip(starts.items(), ends, strict=True):
        middle = max((start + end) / 2, shown_at + 0.045 * tallest)
        shown_at = middle
        share = costs[stage] / sum(costs)
        axes.text(0.56 * widest, middle, f"{_words(network.stages[stage - 1])}  {share:.0%}", va="center", fontsize=7)
    axes.set_ylim(tallest, -0.01 * tallest)
    axes.set_xlim(-0.5 * widest, 1.95 * widest)
    axes.set_title(f"{network.name}\n{format_quantity(sum(costs))} MACs", loc="left")
    axes.set_axis_off()


def _words(stage: Stage) -> str:
    expand = f"{stage.expand_ratio:g}" if stage.op in EXPAND else ""
    return f"{stage.op}{expand} k{stage.kernel} {stage.channels}×{stage.layers}"


def _legend(figure: Any, columns: Sequence[Sequence[Bar]]) -> None:
    from matplotlib.patches import Patch

    kernels = sorted({bar.kernel for column in columns for bar in column})
    handles = [Patch(facecolor=_KERNEL_COLOURS.get(kernel, PINK), label=f"kernel {kernel}") for kernel in kernels]
    if any(bar.excited for column in columns for bar in column):
        handles.append(Patch(facecolor="white", edgecolor=SKY, hatch="/////", label="SE"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
