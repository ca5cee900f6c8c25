"""Run notebooks and store their outputs, leaving out the cells that `make test` leaves out.

python tools/execute.py                      all notebooks, in order
python tools/execute.py nbs/03_shapes.ipynb  one
FLAGS="slow" python tools/execute.py ...     with the flagged cells too
"""

import os
import re
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
os.environ["IPYTHONDIR"] = str(ROOT / "build" / "ipython")  # nobody's own profile decides how figures look


class Client(NotebookClient):
    """A client that keeps the stored outputs of cells that are not run by default."""

    leave_out: re.Pattern = re.compile("$^")

    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if cell.cell_type == "code" and self.leave_out.search(cell.source):
            return cell
        return await super().async_execute_cell(cell, cell_index, **kwargs)


def flags() -> list[str]:
    """The test flags of settings.ini that were not asked for."""
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return [f for f in config["DEFAULT"]["tst_flags"].split() if f not in os.environ.get("FLAGS", "").split()]


def execute(path: Path) -> None:
    """Run one notebook from its own folder and write it back, cleaned."""
    start = time.time()
    notebook = nbformat.read(path, as_version=4)
    client = Client(
        notebook,
        timeout=1800,
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.leave_out = re.compile(rf"^#\| *(?:{'|'.join(flags()) or '$^'}|eval: *false)\b", re.M)
    client.execute()
    nbformat.write(notebook, path)
    subprocess.run([Path(sys.executable).parent / "nbdev_clean", "--fname", path], check=True, cwd=ROOT)
    print(f"{time.time() - start:6.1f} s  {path.name}", flush=True)


if __name__ == "__main__":
    for notebook in [Path(p).resolve() for p in sys.argv[1:]] or sorted((ROOT / "nbs").rglob("[!_.]*.ipynb")):
        execute(notebook)
