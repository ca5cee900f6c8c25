"""What an installed wheel must be able to do; run with a fresh interpreter, away from the checkout."""

import importlib
import pkgutil
import sys
from pathlib import Path

import dearli

failures = 0


def report(ok: bool, what: str) -> None:
    global failures
    failures += not ok
    print("ok" if ok else "FAIL", what, flush=True)


report(Path(sys.prefix) in Path(dearli.__file__).parents, "the imported package is the installed one")
names = sorted(m.name for m in pkgutil.walk_packages(dearli.__path__, "dearli.") if "._" not in m.name)
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        report(False, f"import {name}: {type(error).__name__}: {error}")
report(len(names) > 0, f"{len(names)} modules import: {' '.join(names)}")

from dearli.io import data_path, load_tensors

weights = sorted(data_path("weights").glob("*.safetensors"))
tensors = {path.name: load_tensors(path)[0] for path in weights}
report(bool(weights) and all(tensors.values()), f"{len(weights)} weight files load: {' '.join(tensors)}")

from dearli.world.scenes import SHAPES

report(
    len(SHAPES) > 0 and len(SHAPES.names) == len(SHAPES), f"{len(SHAPES)} classes: {' '.join(SHAPES.names)}"
)
sys.exit(failures > 0)
