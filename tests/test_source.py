"""Notebooks are clean and pass, the package is what they export, and its wheel works elsewhere."""

import filecmp
import sys
import warnings
from pathlib import Path

import mutate
import pytest
from common import BIN, ROOT, copy_tree, run
from nbdev.config import get_config
from nbdev.test import test_nb as run_notebook

NOTEBOOKS = sorted((ROOT / "nbs").glob("[0-9]*/[!_.]*.ipynb")) + [ROOT / "nbs" / "index.ipynb"]
SECONDS = 15  # the budget of one notebook; longer cells are marked `#| slow`
SMOKE = """
import importlib, pkgutil, sys, dearli
assert dearli.__file__.startswith(sys.prefix), dearli.__file__
for module in pkgutil.walk_packages(dearli.__path__, "dearli."):
    importlib.import_module(module.name)
for weights in dearli.io.data_path("weights").glob("*.safetensors"):
    assert dearli.io.load_tensors(weights)[0], weights
dearli.load_segmenter("shapes-dearli")
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the checkout, so that no check writes into the working tree."""
    return copy_tree(tmp_path / "dearli")


def differing(copy: Path, *names: Path) -> list[str]:
    """List the files that a command changed in the copy."""
    same = {n for n in names if (copy / n).exists() and filecmp.cmp(ROOT / n, copy / n, shallow=False)}
    return [str(n) for n in names if n not in same]


def test_notebooks_are_clean(copy):
    run(BIN / "nbdev_clean", "--fname", "nbs", cwd=copy)
    assert not differing(copy, *(p.relative_to(ROOT) for p in NOTEBOOKS)), "make export mends them"


def test_package_is_what_the_notebooks_export(copy):
    for module in (copy / "dearli").rglob("[!_]*.py"):
        module.unlink()
    run(BIN / "nbdev_export", cwd=copy)
    modules = {p.relative_to(r) for r in (ROOT, copy) for p in (r / "dearli").rglob("*.py")}
    assert not differing(copy, *modules), "make export mends them"


def test_readme_is_the_index_notebook():
    run(sys.executable, "tools/notebooks.py", "readme", "--check")


def test_types_of_the_method():
    run(BIN / "mypy")


def test_faults_of_make_mutate_can_be_planted():
    for fault in mutate.read_faults([]):
        mutate.plant(ROOT, fault)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.parent.name + "/" + p.stem)
def test_notebook(path):
    passed, seconds = run_notebook(path, skip_flags=get_config().tst_flags.split(), basepath=ROOT)
    assert passed, "the traceback is among what was printed"
    if seconds > SECONDS:
        warnings.warn(f"{path.stem} took {seconds:.0f} s; mark its long cells `#| slow`", stacklevel=1)


def test_wheel_works_elsewhere(copy, tmp_path):
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, copy)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 24 * 2**20, "too large for a package index"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = (tmp_path / "env" / "lib").glob("*/site-packages")
    # Heavy requirements are borrowed; a line with a path starts no editable hook, so the checkout stays away.
    borrowed = next(p for p in sys.path if p.endswith("site-packages"))
    (site / "borrowed.pth").write_text(borrowed + "\n")
    run(python, "-I", "-c", SMOKE, cwd=tmp_path)
    assert "usage" in run(python.parent / "dearli", "--help", cwd=tmp_path).lower()
