"""The documentation site from the notebooks as stored, without Quarto.

python tools/docs.py                 site in _docs/
python tools/docs.py --source-only   only _proc/, which `quarto render _proc` also reads
python tools/docs.py --strict        fail on warnings and broken links
"""

import html
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from html.parser import HTMLParser
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote, urlsplit

from page import process_notebook

ROOT = Path(__file__).resolve().parent.parent
SOURCE, SITE = ROOT / "_proc", ROOT / "_docs"
BIN = Path(sys.executable).parent
REPOSITORY = "https://github.com/dearli/dearli"
HOST = "https://dearli.github.io/dearli/"
PAPERS = ("CHANGELOG.md", "CONTRIBUTING.md")


def run(*args: object) -> str:
    """Run a command to its end; what it printed, or an exit with it."""
    done = subprocess.run(
        [str(a) for a in args], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{Path(str(args[0])).name} failed")
    return done.stdout


def page_name(name: str) -> str:
    """A notebook's page is named like its module, without the number: that is where links to symbols point."""
    return re.sub(r"^\d+_", "", name)


def relative_links(text: str) -> str:
    """Links of a page in nbs/, or of the sidebar, as they are on the site."""
    text = re.sub(r"\b\d\d_(\w+\.ipynb)", r"\1", text).replace(HOST, "")
    for name in PAPERS:
        text = text.replace(f"../{name}", name.lower())
    return text.replace("](../", f"]({REPOSITORY}/blob/main/")


def process() -> list[str]:
    """Notebooks with their API tables, and the pages that live outside nbs/, in one folder; what went wrong."""
    # nbdev_proc_nbs and nbdev_docs do this too, but first try to download Quarto.
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir()
    notebooks = sorted((ROOT / "nbs").glob("[!_.]*.ipynb"))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        problems = list(
            filter(
                None, pool.map(process_notebook, notebooks, [SOURCE / page_name(n.name) for n in notebooks])
            )
        )
    shutil.copytree(ROOT / "nbs" / "images", SOURCE / "images")
    for name in ("_quarto.yml", "styles.css"):
        shutil.copy2(ROOT / name, SOURCE)
    for name in PAPERS:
        shutil.copy2(ROOT / name, SOURCE / name.lower())
    for path in [*SOURCE.glob("*.ipynb"), SOURCE / "_quarto.yml"]:
        path.write_text(relative_links(path.read_text(encoding="utf-8")), encoding="utf-8")
    return problems


def to_mathml(page: str) -> str:
    """Equations as MathML: no script, no network, and a screen reader can read them."""
    from latex2mathml.converter import convert

    def replace(match: re.Match) -> str:
        return convert(html.unescape(match[2]), display="block" if match[1] == "display" else "inline")

    page = re.sub(
        r'<span class="math (inline|display)">\s*\\[(\[](.+?)\\[)\]]\s*</span>', replace, page, flags=re.S
    )
    return re.sub(r"<link [^>]*katex[^>]*>|<script [^>]*katex[^>]*></script>", "", page)


def self_contained(site: Path) -> None:
    """Nothing on the site asks another server for anything."""
    for page in site.rglob("*.html"):
        page.write_text(to_mathml(page.read_text(encoding="utf-8")), encoding="utf-8")
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        if (mended := re.sub(r'@import\s*url\(["\']?https?:[^)]*\)\s*;', "", text)) != text:
            sheet.write_text(mended, encoding="utf-8")


class Page(HTMLParser):
    """Anchors a page offers and addresses it points to."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.targets = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.anchors |= {values[k] for k in ("id", "name") if values.get(k)}
        self.targets += [values[k] for k in ("href", "src") if values.get(k)]


def broken_links(site: Path) -> list[str]:
    """Links inside the site that lead nowhere, anchors included, with the pages they are on."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    broken = defaultdict(set)
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if goal.is_dir():
                goal /= "index.html"
            missing_anchor = (
                parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].anchors
            )
            if not goal.exists() or missing_anchor:
                broken[target].add(path.name)
    return [
        f"broken link {target} on {', '.join(sorted(on)[:4])}{' and others' if len(on) > 4 else ''}"
        for target, on in sorted(broken.items())
    ]


def build() -> list[str]:
    """Render the site and say what is wrong with it."""
    problems = process()
    printed = run(BIN / "smalldocs", "render", SOURCE)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(SOURCE / "_docs", SITE)
    self_contained(SITE)
    expected = re.compile(
        r"broken link|output-file is not read|format\.html\.(html-math-method|grid) is ignored"
    )  # Quarto reads these
    return (
        problems
        + [line for line in printed.splitlines() if line.startswith("warning") and not expected.search(line)]
        + broken_links(SITE)
    )


if __name__ == "__main__":
    problems = process() if "--source-only" in sys.argv else build()
    print("\n".join(problems + [f"{len(list(SITE.rglob('*.html')))} pages in {SITE.relative_to(ROOT)}/"]))
    sys.exit("--strict" in sys.argv and bool(problems))
