"""Plant the faults of nbs/9-house/faults.txt one at a time and run the notebooks that should notice.

python tools/mutate.py                    all faults; exit status 1 if one survives
python tools/mutate.py --jobs 2 clip ema  only those whose notebook or name contains one of the words
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "nbs" / "9-house" / "faults.txt"
LIMIT = 300  # seconds for one notebook; a fault may make a loop endless


@dataclass
class Fault:
    """One replaced piece of text in an exported cell, and the notebooks that should notice it."""

    name: str
    notebook: str
    witnesses: list[str]
    old: str
    new: str


def read_faults() -> list[Fault]:
    """Read the list; a fault without both of its lines is an error."""
    faults, witnesses = [], []
    for block in re.split(r"\n\s*\n", LIST.read_text(encoding="utf-8")):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if lines and lines[0].startswith("["):
            witnesses = lines.pop(0).strip("[]").split()
        for name, old, new in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
            if not (old.startswith("- ") and new.startswith("+ ")):
                sys.exit(f"{LIST.name}: {name!r} needs a line '- old' and a line '+ new'")
            faults.append(Fault(name, witnesses[0], witnesses, old[2:], new[2:]))
    return faults


def plant(tree: Path, fault: Fault) -> dict[Path, str]:
    """Replace the text in the notebook and in the module it exports; the files as they were before."""
    path = tree / "nbs" / f"{fault.notebook}.ipynb"
    text = path.read_text(encoding="utf-8")
    notebook, found = json.loads(text), 0
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and re.match(r"#\| *export", source):
            found += source.count(fault.old)
            cell["source"] = source.replace(fault.old, fault.new)
    name = re.search(r"#\| *default_exp ([\w.]+)", text)[1]
    module = tree / "dearli" / f"{name.replace('.', '/')}.py"
    code = module.read_text(encoding="utf-8")
    if (found, code.count(fault.old)) != (1, 1):
        sys.exit(f"{fault.notebook}, {fault.name}: {fault.old!r} is there {found} times instead of once")
    path.write_text(json.dumps(notebook), encoding="utf-8")
    module.write_text(code.replace(fault.old, fault.new), encoding="utf-8")
    return {path: text, module: code}


def passes(tree: Path, notebook: str) -> bool:
    """Whether a notebook runs to its end in a copy of the tree."""
    command = [Path(sys.executable).parent / "nbdev_test", "--path", f"nbs/{notebook}.ipynb", "--n_workers", "0"]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    try:
        done = subprocess.run(command, cwd=tree, env=environment, timeout=LIMIT, capture_output=True)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def survives(tree: Path, fault: Fault) -> bool:
    """Plant one fault, run its notebooks until one fails, take the fault out again."""
    before, start, killer = plant(tree, fault), time.time(), None
    try:
        killer = next((n for n in fault.witnesses if not passes(tree, n)), None)
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
    verdict = f"noticed by {killer}" if killer else "SURVIVED"
    print(f"{time.time() - start:4.0f} s  {fault.notebook}, {fault.name}: {verdict}", flush=True)
    return killer is None


def copy_tree(folder: Path) -> Path:
    """Copy the files of the checkout that git knows; nothing beside them, as in a public clone."""
    listing = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, text=True)
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only faults whose notebook or name contains one of these")
    parser.add_argument("--jobs", type=int, default=1, help="faults tried at the same time")
    options = parser.parse_args()
    chosen = [f for f in read_faults() if not options.words or any(w in f"{f.notebook} {f.name}" for w in options.words)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        trees: Queue[Path] = Queue()
        for i in range(options.jobs):
            trees.put(copy_tree(Path(folder) / str(i) / "dearli"))

        def borrow(task, *args):
            tree = trees.get()
            try:
                return task(tree, *args)
            finally:
                trees.put(tree)

        healthy = sorted({n for f in chosen for n in f.witnesses})
        broken = [n for n, ok in zip(healthy, pool.map(lambda n: borrow(passes, n), healthy)) if not ok]
        if broken:
            sys.exit(f"these notebooks fail without any fault: {', '.join(broken)}")
        alive = [f for f, a in zip(chosen, pool.map(lambda f: borrow(survives, f), chosen)) if a]
    print(f"{len(chosen)} faults planted, {len(chosen) - len(alive)} noticed, {len(alive)} survived")
    sys.exit(bool(alive))


if __name__ == "__main__":
    main()
