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
from execnb.nbio import NbCell, mk_cell, read_nb, write_nb
from latex2mathml.converter import convert
from nbdev.processors import FilterDefaults, exec_show_docs

ROOT = Path(__file__).resolve().parent.parent
NBS, SOURCE, SITE = ROOT / "nbs", ROOT / "_proc", ROOT / "_docs"
REPOSITORY = "https://github.com/dearli/dearli/blob/main/"
HOST = "https://dearli.github.io/dearli/"
PAPERS = ("CHANGELOG.md", "CONTRIBUTING.md")
NOTEBOOKS = sorted(NBS.glob("[0-9]*/[0-9]*.ipynb"))
LINK = re.compile(rf"\[(`[^`]+`)\]\({HOST}([^)#]+)\.html#([\w.]+)\)")  # as nbdev writes it
MOVED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>This page has moved</title>
<meta http-equiv="refresh" content="1; url={0}"><script>location.replace("{0}" + location.hash)</script>
<p>This page is now at <a href="{0}">{0}</a>.</p></html>
"""


def page_of(path: Path) -> str:
    """Address of a notebook's page without its ending, where nbdev's links to symbols point: no number."""
    return re.sub(r"(^|/)\d+_", r"\1", path.relative_to(NBS).with_suffix("").as_posix())


ORDER = {page_of(path): place for place, path in enumerate(NOTEBOOKS)}


def imports_of(source: str) -> tuple[str, bool]:
    """The import statements of a cell, and whether it holds anything else."""
    try:
        body = ast.parse(re.sub(r"^\s*[%!].*", "", source, flags=re.M)).body
    except SyntaxError:
        return "", True
    found = [ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(found), len(found) < len(body)


class ExecuteImports(exec_show_docs):
    """Run what API tables need: exported cells, `show_doc`, and of other cells the imports alone."""

    def __call__(self, cell):
        if cell.cell_type != "code":
            return
        if any(d.startswith("export") for d in cell.directives_ or ()) or "show_doc(" in cell.source:
            for name in [m for m in sys.modules if m.startswith("dearli.")]:  # types of inherited fields
                self.k.user_ns |= vars(sys.modules[name]) | self.k.user_ns
            super().__call__(cell)
        elif imports := imports_of(cell.source)[0]:
            self.k.run_cell(imports)


class Filter(FilterDefaults):
    """The processors of nbdev, with imports of mixed cells run alone."""

    def base_procs(self):
        return [ExecuteImports if p is exec_show_docs else p for p in super().base_procs()]


def honest_links(text: str, page: str) -> str:
    """Unlink words that only look like a symbol: in code, private, or of a page the reader has not reached."""

    def keep(match: re.Match) -> str:
        later = ORDER.get(page, 0) < ORDER.get(match[2], 0) and page[:2] not in ("in", "0-")
        return match[1] if later or match[3].split(".")[-1].startswith("_") else match[0]

    parts = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(LINK.sub(r"\1" if i % 2 else keep, part) for i, part in enumerate(parts))


def on_the_site(text: str, depth: int) -> str:
    """Links of a notebook in a folder of this depth, or of the sidebar, as they are on the site."""
    text = re.sub(r"\b\d\d_(\w+\.ipynb)", r"\1", text).replace(HOST, "../" * depth)
    text = re.sub(r"\]\(#([\w-]+)\)", lambda m: f"](#{m[1].lower()})", text)  # JupyterLab keeps capitals
    for name in PAPERS:
        text = text.replace(f"{'../' * (depth + 1)}{name}", f"{'../' * depth}{name.lower()}")
    return text.replace(f"]({'../' * (depth + 1)}", f"]({REPOSITORY}")


def exported(cell: NbCell) -> list[NbCell]:
    """A cell, with its exported code kept on the page, and a table for each public method of its classes."""
    if cell.cell_type != "code" or not re.match(r"#\| export\b", cell.source):
        return [cell]
    tree, names = ast.parse(cell.source), []
    for node in (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name[0] != "_"):
        methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and ast.get_docstring(m)]
        names += [f"{node.name}.{m.name}" for m in methods if m.name[0] != "_"]
    if imports_of(cell.source)[1]:
        cell.source = cell.source.replace("#| export", "#| exports", 1)  # folded below its signature
    tables = [mk_cell(f"show_doc({name})", metadata=type(cell.metadata)()) for name in names]
    return [cell, *tables]


def write_page(path: Path) -> str:
    """Write one notebook with its API tables below _proc/; what went wrong, or nothing."""
    warnings.filterwarnings("ignore")
    page = page_of(path)
    try:
        notebook = read_nb(path)
        notebook.cells = [part for cell in notebook.cells for part in exported(cell)]
        Filter()(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = honest_links(cell.source, page)
            cell.source = cell.source.replace("#| code-fold: show", "#| code-fold: true", 1)
            for shown in (output.get("data", {}) for output in cell.get("outputs", ())):
                if "text/markdown" in shown:
                    shown["text/markdown"] = honest_links("".join(shown["text/markdown"]), "index")
        target = SOURCE / f"{page}.ipynb"
        target.parent.mkdir(exist_ok=True)
        write_nb(notebook, target)
        target.write_text(on_the_site(target.read_text(encoding="utf-8"), page.count("/")), encoding="utf-8")
    except Exception as error:
        return f"{path.name}: {error!r}: {error.__cause__}"
    return ""


def redirects() -> None:
    """A small page at each address of before 0.2.0, which leads to the page of today."""
    for old, new in yaml.safe_load((NBS / "moved.yml").read_text(encoding="utf-8")).items():
        (SOURCE / f"{old}.html").write_text(MOVED.format(f"{new}.html"), encoding="utf-8")


def sidebar(settings: dict) -> dict:
    """The settings of the site with the pages of each folder listed in the order of their numbers."""
    for section in settings["website"]["sidebar"]["contents"]:
        if isinstance(section, dict) and isinstance(section["contents"], str):
            section["contents"] = [f"{p}.ipynb" for p in ORDER if p.startswith(section["contents"] + "/")]
    return settings


def write_source() -> list[str]:
    """Everything a renderer reads, in _proc/; what went wrong."""
    # nbdev_proc_nbs and nbdev_docs do this too, but first try to download Quarto.
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(NBS / "images", SOURCE / "images")
    shutil.copy2(ROOT / "styles.css", SOURCE)
    for name in PAPERS:
        shutil.copy2(ROOT / name, SOURCE / name.lower())
    settings = sidebar(yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8")))
    (SOURCE / "_quarto.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    redirects()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return list(filter(None, pool.map(write_page, [NBS / "index.ipynb", *NOTEBOOKS])))


def self_contained(page: str) -> str:
    """Equations as MathML, which needs no script, no network, and can be read aloud."""

    def replace(match: re.Match) -> str:
        return convert(html.unescape(match[2]), display="block" if match[1] == "display" else "inline")

    formula = r'<span class="math (inline|display)">\s*\\[(\[](.+?)\\[)\]]\s*</span>'
    page = re.sub(formula, replace, page, flags=re.S)
    return re.sub(r"<link [^>]*katex[^>]*>|<script [^>]*katex[^>]*></script>", "", page)


def broken_links() -> list[str]:
    """Links inside the site that lead nowhere, anchors included."""
    pages = {path.resolve(): path.read_text(encoding="utf-8") for path in SITE.rglob("*.html")}
    anchors = {path: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for path, text in pages.items()}
    broken = set()
    for path, text in pages.items():
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', text):
            parts = urlsplit(html.unescape(link))
            if parts.scheme or parts.netloc:
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            goal = goal / "index.html" if goal.is_dir() else goal
            anchor = unquote(parts.fragment)
            if not goal.exists() or (anchor and goal in anchors and anchor not in anchors[goal]):
                broken.add(f"broken link {link} on {path.relative_to(SITE.resolve())}")
    return sorted(broken)


def build() -> list[str]:
    """Render the site and say what is wrong with it."""
    problems = write_source()
    command = [Path(sys.executable).parent / "smalldocs", "render", SOURCE]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(SOURCE / "_docs", SITE)
    for path in SITE.rglob("*.html"):
        path.write_text(self_contained(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path in SITE.rglob("*.css"):  # nothing on the site asks another server for anything
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r'@import\s*url\(["\']?https?:[^)]*\)\s*;', "", text), encoding="utf-8")
    known = r"broken link|output-file is not read|format\.html\.(html-math-method|grid) is ignored"  # Quarto reads these
    printed = [line for line in done.stdout.splitlines() if line.startswith("warning")]
    return problems + [line for line in printed if not re.search(known, line)] + broken_links()


def main() -> int:
    """Build what was asked for; how many problems there are."""
    problems = write_source() if "--source-only" in sys.argv else build()
    print("\n".join(problems + [f"{len(list(SITE.rglob('*.html')))} pages in {SITE.relative_to(ROOT)}/"]))
    return bool(problems)


if __name__ == "__main__":
    import docs  # under this name in workers, where nbdev's shell takes the place of `__main__`

    sys.exit(docs.main())
