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
import textwrap
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from common import BIN, ROOT
from execnb.nbio import NbCell, mk_cell, read_nb, write_nb
from finish import finished, guide_search
from nbdev.doclinks import NbdevLookup
from nbdev.processors import FilterDefaults

NBS, SOURCE, SITE = ROOT / "nbs", ROOT / "_proc", ROOT / "_docs"
HOST, CODE = "https://dearli.github.io/dearli/", "https://github.com/dearli/dearli/blob/main/"
LOOKUP = NbdevLookup()
TEST = re.compile(r"^\s*(assert |test_\w+\()", re.M)
PAPERS = ("CHANGELOG.md", "CONTRIBUTING.md")
NOTEBOOKS = sorted(NBS.glob("[0-9]*/[0-9]*.ipynb"))
LINK = re.compile(rf"\[(`[^`]+`)\]\({HOST}([^)#]+)\.html#([\w.]+)\)")  # as nbdev writes it
QUARTOS = r"broken link|output-file is not read|format\.html\.(html-math-method|grid) is ignored"
MOVED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>This page has moved</title>
<meta http-equiv="refresh" content="1; url={0}"><script>location.replace("{0}" + location.hash)</script>
<p>This page is now at <a href="{0}">{0}</a>.</p></html>
"""


def page_of(path: Path) -> str:
    """Address of a notebook's page without its ending: no numbers, as in nbdev's links to symbols."""
    return re.sub(r"(^|/)\d+_", r"\1", path.relative_to(NBS).with_suffix("").as_posix())


ORDER = {page_of(path): place for place, path in enumerate(NOTEBOOKS)}


class Filter(FilterDefaults):
    """The processors of nbdev without its API tables, for which it would run every notebook."""

    def base_procs(self):
        own = ("add_show_docs", "exec_show_docs", "clean_show_doc", "rm_export", "add_fold", "mv_exports")
        return [p for p in super().base_procs() if p.__name__ not in own]


def first_line(node: ast.stmt) -> int:
    """Line of a statement or of its first decorator."""
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def table(name: str, node: ast.stmt, lines: list[str], module: str) -> str:
    """Heading, signature with its comments, and docstring of a function; of a class all above its methods."""
    is_class = isinstance(node, ast.ClassDef)
    below = [n for n in node.body if isinstance(n, ast.FunctionDef)] if is_class else node.body
    end = max(first_line(below[0]) - 1 if below else node.end_lineno, node.lineno)
    text = textwrap.dedent("\n".join(lines[first_line(node) - 1 : end])).strip()
    link = f'[source]({LOOKUP.code(f"dearli.{module}.{name}")}){{style="float:right; font-size:smaller"}}'
    said = "" if is_class else ast.get_docstring(node) or ""
    return f"---\n\n{link}\n\n### {name}\n\n```python\n{text}\n```\n\n{said}"


def plain(markdown: str) -> str:
    """The last paragraph of a cell of text, as words."""
    last = re.split(r"\n\s*\n|\n(?=#)", markdown.strip())[-1]
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*#$\\|]", r"\1", last)
    return textwrap.shorten(words, 240, placeholder=" …").replace('"', "'")


def option(cell: NbCell, line: str) -> None:
    """Add a line that starts with #| to a cell."""
    cell.source = f"#| {line}\n{cell.source}"


def prepared(cells: list[NbCell]) -> list[NbCell]:
    """Cells whose pictures have a text and whose tests are folded."""
    said = ""
    for cell in cells:
        if cell.cell_type != "code":
            said = plain(cell.source) or said
            continue
        outputs = cell.get("outputs") or []
        pictures = [k for o in outputs for k in o.get("data", ()) if k.startswith("image/")]
        if pictures and "#| fig-alt" not in cell.source:
            option(cell, f'fig-alt: "{said}"')
        if not outputs and TEST.search(cell.source) and not cell.source.startswith("#|"):
            option(cell, 'code-summary: "Tests"')
            option(cell, "code-fold: true")
    return cells


def described(cell: NbCell, module: str) -> list[NbCell]:
    """An exported cell, folded below a table for each public name it defines; imports alone are left out."""
    if cell.cell_type != "code" or not cell.source.startswith("#| export\n"):
        return [cell]
    lines, body = cell.source.splitlines(), ast.parse(cell.source).body
    if all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body):
        return []
    named = [(n.name, n) for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef))]
    for owner in [n for n in body if isinstance(n, ast.ClassDef)]:
        methods = [m for m in owner.body if isinstance(m, ast.FunctionDef) and ast.get_docstring(m)]
        named += [(f"{owner.name}.{m.name}", m) for m in methods]
    shown = [table(name, node, lines, module) for name, node in named if not re.search(r"(^|\.)_", name)]
    folded = '#| code-fold: true\n#| code-summary: "Exported source"\n'
    cell.source = cell.source.replace("#| export\n", folded, 1)
    return [*(mk_cell(text, "markdown", metadata=type(cell.metadata)()) for text in shown), cell]


def honest_links(text: str, page: str) -> str:
    """Unlink words that only look like a symbol: private names, and those of a page not reached yet."""

    def keep(match: re.Match) -> str:
        later = page[:2] not in ("in", "0-") and ORDER.get(page, 0) < ORDER.get(match[2], 0)
        return match[1] if later or match[3].split(".")[-1].startswith("_") else match[0]

    return LINK.sub(keep, text)


def on_the_site(text: str, up: str) -> str:
    """Links of a notebook as they are on the site, whose root lies `up` from its page."""
    text = re.sub(r"\b\d\d_(\w+\.ipynb)", r"\1", text).replace(HOST, up)
    text = re.sub(r"\]\(#([\w-]+)\)", lambda m: f"](#{m[1].lower()})", text)  # JupyterLab keeps capitals
    for name in PAPERS:
        text = text.replace(f"{up}../{name}", up + name.lower())
    return text.replace(f"]({up}../", f"]({CODE}")


def write_page(path: Path) -> None:
    """Write one notebook with its API tables below _proc/."""
    page, notebook = page_of(path), read_nb(path)
    module = next(iter(re.findall(r"#\| default_exp ([\w.]+)", path.read_text())), "")
    notebook.cells = [part for cell in prepared(notebook.cells) for part in described(cell, module)]
    Filter()(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = honest_links(cell.source, page)
    target = SOURCE / f"{page}.ipynb"
    target.parent.mkdir(exist_ok=True)
    write_nb(notebook, target)
    target.write_text(on_the_site(target.read_text(), "../" * page.count("/")))


def write_source() -> None:
    """Write everything that a renderer reads to _proc/."""
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
    for path in [NBS / "index.ipynb", *NOTEBOOKS]:
        write_page(path)


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
    write_source()
    done = subprocess.run([BIN / "smalldocs", "render", SOURCE], text=True, capture_output=True)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(SOURCE / "_docs", SITE)
    for path in (*SITE.rglob("*.html"), *SITE.rglob("*.css")):
        path.write_text(finished(path.read_text()))
    index, script = SITE / "search.json", SITE / "site_libs" / "smalldocs.js"
    first = yaml.safe_load((NBS / "search.yml").read_text())
    for path, text in zip((index, script), guide_search(index.read_text(), script.read_text(), first)):
        path.write_text(text)
    said = [line for line in done.stderr.splitlines() if line.startswith("warning")]
    return [line for line in said if not re.search(QUARTOS, line)] + broken_links()


if __name__ == "__main__":
    found = write_source() if "--source-only" in sys.argv else build()
    sys.exit("\n".join(found or []) or None)
