"""Plant the faults of nbs/9-house/faults.txt one at a time and run the notebooks that should notice.

python tools/mutate.py                    all faults; exit status 1 if one survives
python tools/mutate.py --jobs 2 clip ema  only those whose notebook or name contains one of the words
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from common import BIN, ROOT, copy_tree

LIMIT = 300  # seconds for one notebook, as a fault may make a loop endless


class Fault(NamedTuple):
    """A piece of text in an exported cell of the first notebook, replaced; the notebooks should notice."""

    notebooks: list[str]
    name: str
    old: str
    new: str


def read_faults(words: list[str]) -> list[Fault]:
    """Read the list, or the part of it that contains one of the words."""
    faults = []
    for block in (ROOT / "nbs/9-house/faults.txt").read_text(encoding="utf-8").split("\n\n")[1:]:
        head, *lines = block.strip().splitlines()
        for name, old, new in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
            assert (old[:2], new[:2]) == ("- ", "+ "), (
                f"{head} {name}: give a line '- old' and a line '+ new'"
            )
            faults.append(Fault(head.strip("[]").split(), name, old[2:], new[2:]))
    return [f for f in faults if not words or any(w in f"{f.notebooks[0]} {f.name}" for w in words)]


def plant(tree: Path, fault: Fault) -> dict[Path, str]:
    """Give notebook and module their new text; AssertionError unless the old one is there exactly once."""
    path = tree / "nbs" / f"{fault.notebooks[0]}.ipynb"
    notebook, found = json.loads(path.read_text(encoding="utf-8")), 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and source.startswith("#| export"):
            found += source.count(fault.old)
            cell["source"] = source.replace(fault.old, fault.new)
    name = re.search(r"#\| default_exp ([\w.]+)", json.dumps(notebook))[1]
    module = tree / "dearli" / f"{name.replace('.', '/')}.py"
    code = module.read_text(encoding="utf-8")
    where = f"{fault.notebooks[0]}, {fault.name}: {fault.old!r}"
    assert found == code.count(fault.old) == 1, f"{where} is there {found} times, not once: mend the list"
    return {path: json.dumps(notebook), module: code.replace(fault.old, fault.new)}


def passes(tree: Path, notebook: str) -> bool:
    """Say whether a notebook runs to its end in a copy of the tree."""
    command = [BIN / "nbdev_test", "--path", f"nbs/{notebook}.ipynb", "--n_workers", "0"]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    try:
        return not subprocess.run(
            command, cwd=tree, env=environment, timeout=LIMIT, capture_output=True
        ).returncode
    except subprocess.TimeoutExpired:
        return False


def survives(tree: Path, fault: Fault) -> bool:
    """Plant a fault, run its notebooks until one fails, take the fault out again."""
    start, planted = time.time(), plant(tree, fault)
    before = {path: path.read_text(encoding="utf-8") for path in planted}
    for path, text in planted.items():
        path.write_text(text, encoding="utf-8")
    killer = next((n for n in fault.notebooks if not passes(tree, n)), None)
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")
    verdict = f"noticed by {killer}" if killer else "SURVIVED"
    print(f"{time.time() - start:4.0f} s  {fault.notebooks[0]}, {fault.name}: {verdict}", flush=True)
    return killer is None


def main(words: list[str], jobs: int) -> None:
    """Check the list and the untouched notebooks, then try every fault in one of `jobs` copies."""
    faults, trees = read_faults(words), Queue()
    for fault in faults:
        plant(ROOT, fault)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        for i in range(jobs):
            trees.put(copy_tree(Path(folder) / str(i) / "dearli"))

        def in_copy(task, item):
            tree = trees.get()
            try:
                return task(tree, item)
            finally:
                trees.put(tree)

        notebooks = sorted({n for fault in faults for n in fault.notebooks})
        sound = pool.map(lambda n: in_copy(passes, n), notebooks)
        if broken := [n for n, ok in zip(notebooks, sound) if not ok]:
            sys.exit(f"these notebooks fail without any fault: {', '.join(broken)}")
        alive = sum(pool.map(lambda fault: in_copy(survives, fault), faults))
    sys.exit(
        f"{alive} of {len(faults)} faults survived" if alive else print(f"{len(faults)} faults, all noticed")
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only faults whose notebook or name contains one of these")
    parser.add_argument("--jobs", type=int, default=1, help="faults tried at the same time")
    main(**vars(parser.parse_args()))
