"""Building blocks that all other packages use: errors, records, callbacks, files, units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.core.public import public_names

if TYPE_CHECKING:
    from nas.core.callback import Callback
    from nas.core.errors import InputError, WorkError
    from nas.core.records import Architecture, Evaluation, Trial

__all__ = ["Architecture", "Callback", "Evaluation", "InputError", "Trial", "WorkError"]

__getattr__, __dir__ = public_names(
    __name__,
    {
        "nas.core.callback": ["Callback"],
        "nas.core.errors": ["InputError", "WorkError"],
        "nas.core.records": ["Architecture", "Evaluation", "Trial"],
    },
)
