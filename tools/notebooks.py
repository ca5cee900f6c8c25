"""Notebooks run and rendered outside JupyterLab.

python tools/notebooks.py execute [nbs/2-world/01_scenes.ipynb ...]  run them (or all) and store their outputs
FLAGS="slow" python tools/notebooks.py execute ...                    with the flagged cells too
python tools/notebooks.py readme [--check]                            write README.md from nbs/index.ipynb
"""

import os
import re
import sys
import time
from pathlib import Path

import nbformat
from common import BIN, ROOT, run
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor
from nbdev.config import get_config
from traitlets.config import Config

FLAGS = set(get_config().tst_flags.split()) - set(os.environ.get("FLAGS", "").split())
LEFT_OUT = re.compile(rf"^#\| *(?:{'|'.join(FLAGS) or '$^'}|eval: *false)\b", re.M)


class Execute(ExecutePreprocessor):
    """Run a notebook and keep the stored outputs of the cells that `make test` leaves out."""

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type == "code" and LEFT_OUT.search(cell.source):
            return cell, resources
        return super().preprocess_cell(cell, resources, index)


def execute(path: Path) -> None:
    """Run one notebook from its own folder and write it back, cleaned."""
    start, notebook = time.time(), nbformat.read(path, as_version=4)
    client = Execute(timeout=1800, kernel_name="python3", store_widget_state=False)
    client.preprocess(notebook, {"metadata": {"path": str(path.parent)}})
    nbformat.write(notebook, path)
    run(BIN / "nbdev_clean", "--fname", path)
    print(f"{time.time() - start:6.1f} s  {path.stem}", flush=True)


def readme() -> dict[Path, bytes]:
    """Every file that the stored index notebook makes: pictures and README.md."""
    notebook, cells = nbformat.read(ROOT / "nbs" / "index.ipynb", as_version=4), []
    for cell in notebook.cells:
        words = re.findall(r"^#\| *(.+)", cell.source, re.M) if cell.cell_type == "code" else []
        cell.source = re.sub(r"^#\|.*\n?", "", cell.source, flags=re.M)
        cell.metadata["transient"] = {"remove_source": "echo: false" in words}
        cells += [] if "hide" in words else [cell]
    notebook.cells = cells
    notebook.metadata["language_info"] = {"name": "python"}
    pictures = {"enabled": True, "output_filename_template": "readme-{cell_index}{extension}"}
    exporter = MarkdownExporter(config=Config(ExtractOutputPreprocessor=pictures))
    text, made = exporter.from_notebook_node(notebook)
    text = re.sub(r"!\[\w+\]\((readme-[^)]+)\)", r"![](images/\1)", text)
    text = re.sub(r"\]\((?!https?:|#|\.\./)([^)]+)\)", r"](nbs/\1)", text).replace("](../", "](")
    text = "<!-- Made from nbs/index.ipynb by `make readme`; edit the notebook. -->\n" + text
    text = re.sub(r"\s*\n(\s*\n)+", "\n\n", text).strip() + "\n"
    return {ROOT / "README.md": text.encode()} | {
        ROOT / "nbs" / "images" / name: data for name, data in made["outputs"].items()
    }


if __name__ == "__main__":
    command, *paths = sys.argv[1:]
    if command == "execute":
        every = sorted((ROOT / "nbs").glob("[0-9]*/[!_.]*.ipynb")) + [ROOT / "nbs" / "index.ipynb"]
        for notebook in [Path(p).resolve() for p in paths] or every:
            execute(notebook)
    for path, content in readme().items() if command == "readme" else ():
        if "--check" not in paths:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            sys.exit(f"{path.name} differs from nbs/index.ipynb; run make readme")
