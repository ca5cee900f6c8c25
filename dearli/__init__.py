"""Panoptic segmentation from few labelled images: DEARLi as a readable, executable study.

The names below are what most users need. Each is imported when it is first asked for, so that `import dearli`
itself costs nothing. Everything else is reached by its module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import TrainConfig
    from .evaluation import evaluate
    from .io import DearliError
    from .metrics import PanopticQuality
    from .model import Segmenter, SegmenterConfig
    from .panoptic import Panoptic, Taxonomy
    from .predict import load_segmenter
    from .train import Trainer

__version__ = "0.2.0"
__all__ = [
    "DearliError",
    "Panoptic",
    "PanopticQuality",
    "Segmenter",
    "SegmenterConfig",
    "Taxonomy",
    "TrainConfig",
    "Trainer",
    "evaluate",
    "load_segmenter",
]
_MODULES = {
    "DearliError": "io",
    "Panoptic": "panoptic",
    "PanopticQuality": "metrics",
    "Segmenter": "model",
    "SegmenterConfig": "model",
    "Taxonomy": "panoptic",
    "TrainConfig": "config",
    "Trainer": "train",
    "evaluate": "evaluation",
    "load_segmenter": "predict",
}
_METHOD = (
    "panoptic metrics images augment show clip recognition pixel_decoder query_decoder criterion inference model "
    "teacher sam evaluation config batches learner run_folder train predict official"
)


def check_types(function: Callable) -> Callable:
    "Check the types of all arguments and results of a function, where an int may stand for a float."
    from beartype import BeartypeConf, beartype

    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)


# the tests check types and shapes of all tensors that functions of the method take and give
if os.environ.get("DEARLI_TYPECHECK"):
    from jaxtyping import install_import_hook

    install_import_hook([f"dearli.{module}" for module in _METHOD.split()], "dearli.check_types")


def __getattr__(name: str) -> object:
    "Import a public name when it is first asked for. Raises AttributeError for any other."
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    "List the public names with those that are there already."
    return sorted({*globals(), *__all__})
