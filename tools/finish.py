"""What a rendered page lacks: a way past the menus, names for landmarks, equations without scripts."""

import html
import json
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<span class="math (inline|display)">\s*\\[(\[](.+?)\\[)\]]\s*</span>', re.S)
ELSEWHERE = re.compile(
    r'<link [^>]*katex[^>]*>|<script [^>]*katex[^>]*></script>|@import\s*url\(["\']?https?:[^)]*\)\s*;'
)
SKIP = '<a class="skip-link" href="#quarto-document-content">Skip to the content</a>'
# What scrolls sideways can also be scrolled with the arrow keys.
SCROLLS = """<script>addEventListener("load", () => {
  for (const e of document.querySelectorAll("pre, table, math, .sourceCode, .walk *"))
    if (e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX)) e.tabIndex = 0;
});</script>"""
ACCESSIBLE = {  # as the renderer writes it: as a screen reader needs it
    r"(<body[^>]*>)": rf"\1{SKIP}",
    r"</body>": f"{SCROLLS}</body>",
    r'(<i class="bi[^"]*") role="img">': r'\1 aria-hidden="true">',
    r'(<a class="sidebar-item-toggle[^>]*) role="navigation"': r'\1 role="button"',
    r'(<nav class="navbar[^"]*")': r'\1 aria-label="Site"',
    r'(<nav id="quarto-sidebar")': r'\1 aria-label="Pages"',
    r'(<div class="toc-actions")': r'\1 role="complementary" aria-label="This page"',
    r'(<main [^>]*id="quarto-document-content")': r'\1 tabindex="-1"',
}
WEIGHTS = 'keys: [{ name: "title", weight: 2 }'


def as_mathml(match: re.Match) -> str:
    """An equation as MathML: no script, no network, and a screen reader can read it."""
    return convert(html.unescape(match[2]), display="block" if match[1] == "display" else "inline")


def finished(text: str) -> str:
    """A page or style sheet that asks no other server for anything and can be used from the keyboard."""
    text = ELSEWHERE.sub("", FORMULA.sub(as_mathml, text))
    for pattern, better in ACCESSIBLE.items():
        text = re.sub(pattern, lambda m, better=better: m.expand(better), text)
    return text


def guide_search(index: str, script: str, first: dict[str, list[str]]) -> tuple[str, str]:
    """Give pages of the search index the words by which readers look for them, and let these count most."""
    entries = json.loads(index)
    lost = first.keys() - {e["objectID"] for e in entries}
    if lost or WEIGHTS not in script:
        raise SystemExit(f"search.yml names {sorted(lost)}, which are on no page, or the search has changed")
    named = [e | {"words": first.get(e["objectID"], [])} for e in entries]
    script = script.replace(WEIGHTS, WEIGHTS.replace("[", '[{ name: "words", weight: 8 }, ', 1))
    return json.dumps(named, ensure_ascii=False), script
