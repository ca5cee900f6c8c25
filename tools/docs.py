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
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SOURCE, SITE = ROOT / "_proc", ROOT / "_docs"
BIN = Path(sys.executable).parent


def run(*args: object) -> str:
    """Run a command to its end; what it printed, or an exit with it."""
    done = subprocess.run([str(a) for a in args], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode: sys.exit(f"{done.stdout}\n{Path(str(args[0])).name} failed")
    return done.stdout


def process() -> str:
    """Notebooks with their API tables, and the pages that live outside nbs/, in one folder."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    # The command of the same name would first try to download Quarto.
    printed = run(BIN / "python", "-c", "from nbdev.serve import proc_nbs; proc_nbs(n_workers=2)")
    for name in ("_quarto.yml", "styles.css"): shutil.copy2(ROOT / name, SOURCE)
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy2(ROOT / name, SOURCE / name.lower())
    index = SOURCE / "index.ipynb"
    index.write_text(index.read_text(encoding="utf-8").replace("../CHANGELOG.md", "changelog.md").replace("../CONTRIBUTING.md", "contributing.md")
                     .replace("(../", "(https://github.com/dearli/dearli/blob/main/"), encoding="utf-8")
    return printed


def to_mathml(page: str) -> str:
    """TeX between the delimiters KaTeX looks for, as MathML: no script, no network, and it can be read aloud."""
    from latex2mathml.converter import convert

    def replace(match: re.Match) -> str:
        return convert(html.unescape(match[2]), display="block" if match[1] == "[" else "inline")

    head = re.compile(r"<(link|script)\b[^>]*katex[^>]*>(?:</script>)?")
    return re.sub(r"\\([\[(])(.+?)\\[\])]", replace, head.sub("", page), flags=re.S)


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
    """Links inside the site that lead nowhere, anchors included."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc: continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if goal.is_dir(): goal /= "index.html"
            missing_anchor = parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].anchors
            if not goal.exists() or missing_anchor: broken.append(f"{path.relative_to(site.resolve())}: {target}")
    return sorted(set(broken))


def build() -> list[str]:
    """Render the site and say what is wrong with it."""
    process()
    printed = run(BIN / "smalldocs", "render", SOURCE)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(SOURCE / "_docs", SITE)
    for page in SITE.rglob("*.html"): page.write_text(to_mathml(page.read_text(encoding="utf-8")), encoding="utf-8")
    return [line for line in printed.splitlines() if line.startswith("warning")] + broken_links(SITE)


if __name__ == "__main__":
    if "--source-only" in sys.argv: process()
    else:
        problems = build()
        print("\n".join(problems + [f"{len(list(SITE.rglob('*.html')))} pages in {SITE.relative_to(ROOT)}/"]))
        sys.exit("--strict" in sys.argv and bool(problems))
