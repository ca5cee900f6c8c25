"""The documentation site from the notebooks as stored, without Quarto.

python tools/docs.py                 site in _docs/
python tools/docs.py --source-only   only _proc/, which `quarto render _proc` also reads
"""

import ast
import html
import re
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from common import BIN, ROOT
from execnb.nbio import NbCell, mk_cell, read_nb, write_nb
from latex2mathml.converter import convert
from nbdev.processors import FilterDefaults, exec_show_docs

NBS, SOURCE, SITE = ROOT / "nbs", ROOT / "_proc", ROOT / "_docs"
HOST, CODE = "https://dearli.github.io/dearli/", "https://github.com/dearli/dearli/blob/main/"
PAPERS = ("CHANGELOG.md", "CONTRIBUTING.md")
NOTEBOOKS = sorted(NBS.glob("[0-9]*/[0-9]*.ipynb"))
LINK = re.compile(rf"\[(`[^`]+`)\]\({HOST}([^)#]+)\.html#([\w.]+)\)")  # as nbdev writes it
FORMULA = re.compile(r'<span class="math (inline|display)">\s*\\[(\[](.+?)\\[)\]]\s*</span>', re.S)
ELSEWHERE = (
    r'<link [^>]*katex[^>]*>|<script [^>]*katex[^>]*></script>|@import\s*url\(["\']?https?:[^)]*\)\s*;'
)
QUARTOS = r"broken link|output-file is not read|format\.html\.(html-math-method|grid) is ignored"
MOVED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>This page has moved</title>
<meta http-equiv="refresh" content="1; url={0}"><script>location.replace("{0}" + location.hash)</script>
<p>This page is now at <a href="{0}">{0}</a>.</p></html>
"""


def page_of(path: Path) -> str:
    """Address of a notebook's page without its ending: no numbers, as in nbdev's links to symbols."""
    return re.sub(r"(^|/)\d+_", r"\1", path.relative_to(NBS).with_suffix("").as_posix())


ORDER = {page_of(path): place for place, path in enumerate(NOTEBOOKS)}


class ExecuteExports(exec_show_docs):
    """Run what API tables need and nothing else: exported cells and `show_doc`."""

    def __call__(self, cell):
        if any(d.startswith("export") for d in cell.directives_ or ()) or "show_doc(" in cell.source:
            for name in [m for m in sys.modules if m.startswith("dearli.")]:  # types of inherited fields
                self.k.user_ns |= vars(sys.modules[name]) | self.k.user_ns
            super().__call__(cell)


class Filter(FilterDefaults):
    """The processors of nbdev, which would also run every cell that imports something."""

    def base_procs(self):
        return [ExecuteExports if p is exec_show_docs else p for p in super().base_procs()]


def with_tables(cell: NbCell) -> list[NbCell]:
    """An exported cell, whose code stays on the page, with a table for each public method of its classes."""
    if cell.cell_type != "code" or not cell.source.startswith("#| export\n"):
        return [cell]
    classes = [n for n in ast.parse(cell.source).body if isinstance(n, ast.ClassDef) and n.name[0] != "_"]
    methods = [(c.name, m) for c in classes for m in c.body if isinstance(m, ast.FunctionDef)]
    shown = [f"show_doc({c}.{m.name})" for c, m in methods if m.name[0] != "_" and ast.get_docstring(m)]
    cell.source = cell.source.replace("#| export", "#| exports", 1)  # folded below its signature
    return [cell, *(mk_cell(text, metadata=type(cell.metadata)()) for text in shown)]


def honest_links(text: str, page: str) -> str:
    """Unlink words that only look like a symbol: in code, private, or of a page the reader has not reached."""

    def keep(match: re.Match) -> str:
        later = page[:2] not in ("in", "0-") and ORDER.get(page, 0) < ORDER.get(match[2], 0)
        return match[1] if later or match[3].split(".")[-1].startswith("_") else match[0]

    parts = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(LINK.sub(r"\1" if i % 2 else keep, part) for i, part in enumerate(parts))


def on_the_site(text: str, up: str) -> str:
    """Links of a notebook as they are on the site, whose root lies `up` from its page."""
    text = re.sub(r"\b\d\d_(\w+\.ipynb)", r"\1", text).replace(HOST, up)
    text = re.sub(r"\]\(#([\w-]+)\)", lambda m: f"](#{m[1].lower()})", text)  # JupyterLab keeps capitals
    for name in PAPERS:
        text = text.replace(f"{up}../{name}", up + name.lower())
    return text.replace(f"]({up}../", f"]({CODE}")


def write_page(path: Path) -> str:
    """Write one notebook with its API tables below _proc/; what went wrong, or nothing."""
    warnings.filterwarnings("ignore")
    page = page_of(path)
    try:
        notebook = read_nb(path)
        notebook.cells = [part for cell in notebook.cells for part in with_tables(cell)]
        Filter()(notebook)
        for cell in notebook.cells:
            cell.source = cell.source.replace("#| code-fold: show", "#| code-fold: true", 1)
            if cell.cell_type == "markdown":
                cell.source = honest_links(cell.source, page)
            for shown in (output.get("data", {}) for output in cell.get("outputs", ())):
                if "text/markdown" in shown:
                    shown["text/markdown"] = honest_links("".join(shown["text/markdown"]), "index")
        target = SOURCE / f"{page}.ipynb"
        target.parent.mkdir(exist_ok=True)
        write_nb(notebook, target)
        target.write_text(on_the_site(target.read_text(), "../" * page.count("/")))
    except Exception as error:
        return f"{path.name}: {error!r}: {error.__cause__}"
    return ""


def write_source() -> list[str]:
    """Everything a renderer reads, in _proc/; what went wrong."""
    # nbdev_proc_nbs and nbdev_docs do this too, but first try to download Quarto.
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(NBS / "images", SOURCE / "images")
    for name in (*PAPERS, "styles.css"):
        shutil.copy2(ROOT / name, SOURCE / name.lower())
    for old, new in yaml.safe_load((NBS / "moved.yml").read_text()).items():
        (SOURCE / f"{old}.html").write_text(MOVED.format(f"{new}.html"))
    settings = yaml.safe_load((ROOT / "_quarto.yml").read_text())
    for section in settings["website"]["sidebar"]["contents"]:
        if section != "index.ipynb" and isinstance(section["contents"], str):  # a folder
            section["contents"] = [f"{p}.ipynb" for p in ORDER if p.startswith(section["contents"] + "/")]
    (SOURCE / "_quarto.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return list(filter(None, pool.map(write_page, [NBS / "index.ipynb", *NOTEBOOKS])))


def as_mathml(match: re.Match) -> str:
    """An equation as MathML: no script, no network, and a screen reader can read it."""
    return convert(html.unescape(match[2]), display="block" if match[1] == "display" else "inline")


def broken_links() -> list[str]:
    """Links inside the site that lead nowhere, anchors included."""
    pages = {path.resolve(): path.read_text() for path in SITE.rglob("*.html")}
    anchors = {path: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for path, text in pages.items()}
    links = {(path, link) for path in pages for link in re.findall(r'\b(?:href|src)="([^"]+)"', pages[path])}
    broken = []
    for path, link in sorted(links):
        to = urlsplit(html.unescape(link))
        goal = path.parent / unquote(to.path) if to.path and not to.scheme else path
        goal = (goal / "index.html" if goal.is_dir() else goal).resolve()
        lost = to.fragment and unquote(to.fragment) not in anchors.get(goal, to.fragment)
        if not (to.scheme or to.netloc) and (lost or not goal.exists()):
            broken.append(f"broken link {link} on {path.name}")
    return broken


def build() -> list[str]:
    """Render the site and say what is wrong with it."""
    problems = write_source()
    done = subprocess.run([BIN / "smalldocs", "render", SOURCE], text=True, capture_output=True)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(SOURCE / "_docs", SITE)
    for path in (*SITE.rglob("*.html"), *SITE.rglob("*.css")):  # nothing asks another server for anything
        path.write_text(re.sub(ELSEWHERE, "", FORMULA.sub(as_mathml, path.read_text())))
    said = [line for line in done.stderr.splitlines() if line.startswith("warning")]
    return problems + [line for line in said if not re.search(QUARTOS, line)] + broken_links()


if __name__ == "__main__":
    import docs  # under this name in workers, where nbdev's shell takes the place of `__main__`

    problems = docs.write_source() if "--source-only" in sys.argv else docs.build()
    sys.exit("\n".join(problems) or None)
