"""Settings of the evaluator ``supernet``."""

from __future__ import annotations

from pydantic import Field

from nas.core.section import Section


class SharedWeightsSettings(Section):
    """Settings of the evaluator that scores networks with the weights of a supernet."""

    supernet: str = Field(min_length=1)
    """The folder of ``nas supernet train``, or its ``supernet.safetensors``."""
    calibration_images: int = Field(default=2000, ge=2)
    """Training images from which each network's own BatchNorm statistics are measured."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of a worker process."""
