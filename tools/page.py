"""One notebook as a page; a module of its own, because nbdev's shell takes the place of `__main__` in a worker."""

import ast
import re
import warnings
from pathlib import Path

from execnb.nbio import read_nb, write_nb
from fastcore import docments
from nbdev.processors import FilterDefaults, exec_show_docs

strict_parser = docments._parses


def parses(code: object) -> ast.Module:
    """Parse also methods whose docstring has lines at column zero, as an inherited `__init__` may have."""
    try:
        return strict_parser(code)
    except IndentationError:
        return ast.Module(ast.parse("if 1:\n" + docments.get_source(code)).body[0].body, [])


docments._parses = parses
whole_default = docments._fmt_default


def short_default(value: object) -> str:
    """A default as a signature shows it: a configuration by its name, since its fields have a place of their own."""
    text = whole_default(value)
    if len(text) <= 100:
        return text
    try:
        plain = type(value)() == value
    except TypeError:
        plain = False
    return f"{type(value).__name__}({'' if plain else '...'})"


docments._fmt_default = short_default


def imports_of(source: str) -> tuple[list[ast.stmt], bool]:
    """The import statements of a cell, and whether it holds nothing else."""
    try:
        nodes = ast.parse(re.sub(r"^\s*[%!].*", "", source, flags=re.M)).body
    except SyntaxError:
        return [], False
    found = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    return found, len(found) == len(nodes)


class ExecuteImports(exec_show_docs):
    """Run what API tables need: exported cells, `show_doc`, and of other cells the imports only."""

    def __call__(self, cell):
        if cell.cell_type != "code":
            return
        needed = any(d.startswith("export") for d in cell.directives_ or ()) or "show_doc(" in cell.source
        if needed:
            super().__call__(cell)
        elif statements := imports_of(cell.source)[0]:
            self.k.run_cell("\n".join(map(ast.unparse, statements)))


class Filter(FilterDefaults):
    def base_procs(self):
        return [ExecuteImports if p is exec_show_docs else p for p in super().base_procs()]


def show_source(notebook: dict) -> None:
    """Keep exported code on the page, folded below its signature; nbdev would leave it out."""
    for cell in notebook.cells:
        if (
            cell.cell_type == "code"
            and re.match(r"#\| export\b", cell.source)
            and not imports_of(cell.source)[1]
        ):
            cell.source = cell.source.replace("#| export", "#| exports", 1)


LINK = r"\[(?P<word>`[^`]+`)\]\(https?:[^)\s]*/(?P<module>\w+)\.html#(?P<anchor>[\w.]+)\)"


def honest_links(text: str, path: Path) -> str:
    """Unlink words that only look like a symbol: private names, and names of modules a notebook cannot know yet."""
    number = {p.stem[3:]: p.stem[:2] for p in path.parent.glob("[0-9][0-9]_*.ipynb")}

    def keep(match: re.Match) -> str:
        private = match["anchor"].split(".")[-1].startswith("_")
        later = path.stem[:2] < number.get(match["module"], "") and path.stem[0].isdigit()
        return match["word"] if private or later else match[0]

    return re.sub(LINK, keep, text)


def own_headings(text: str) -> str:
    """Links to headings of the page: JupyterLab keeps the capitals in their names, the site does not."""
    return re.sub(r"\]\(#([\w-]+)\)", lambda m: f"](#{m[1].lower()})", text)


def plain_code(text: str) -> str:
    """Unlink words inside fenced code, where a link would show as its source."""
    parts = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(re.sub(LINK, r"\g<word>", part) if i % 2 else part for i, part in enumerate(parts))


def process_notebook(path: Path, target: Path) -> str:
    """Write one notebook with its API tables; what went wrong, or nothing."""
    warnings.filterwarnings("ignore")
    try:
        notebook = read_nb(path)
        show_source(notebook)
        Filter()(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = own_headings(honest_links(cell.source, path))
            else:
                cell.source = cell.source.replace("#| code-fold: show", "#| code-fold: true", 1)
            for shown in (output.get("data", {}) for output in cell.get("outputs", ())):
                if "text/markdown" in shown:
                    shown["text/markdown"] = plain_code("".join(shown["text/markdown"])).splitlines(
                        keepends=True
                    )
        write_nb(notebook, target)
    except Exception as error:
        return f"{path.name}: {error}: {error.__cause__}"
    return ""
