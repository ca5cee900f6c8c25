"""The built site in headless Chromium: prints a line `ok`, `FAIL` or `skip` for each check.

    python tools/browser.py                      the checks
    python tools/browser.py --pictures FOLDER    screenshots of every page instead, wide and narrow
"""
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_docs"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a web server for a folder, on this machine only."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f"http://127.0.0.1:{server.server_port}"
    finally: server.shutdown()


@contextmanager
def browser_page(size: dict) -> Iterator[tuple]:
    """A page of a new browser, and the list of what it complains about."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page, complaints = browser.new_page(viewport=size), []
        page.set_default_timeout(120_000)  # a busy machine is slow, not broken
        page.on("console", lambda m: complaints.append(f"{page.url}: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda e: complaints.append(f"{page.url}: {e}"))
        page.on("requestfailed", lambda r: None if r.failure == "net::ERR_ABORTED" else complaints.append(f"{page.url}: {r.url} not loaded"))
        yield page, complaints
        browser.close()


def report(problems: list[str], what: str) -> int:
    print("FAIL" if problems else "ok", what + "".join(f"; {p}" for p in problems[:5]), flush=True)
    return bool(problems)


def visit(address: str, names: list[str], size: dict, script: str) -> tuple[list[str], list[str]]:
    """Open every page; what the browser complains about, and the pages on which `script` finds something."""
    found = []
    with browser_page(size) as (page, complaints):
        for name in names:
            page.goto(f"{address}/{name}", wait_until="load")
            if said := page.evaluate(script): found.append(f"{name}: {said}")
    return complaints, found


BROKEN_IMAGES = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.alt || i.src.slice(0, 60)).join(', ')"
TOO_WIDE = """(() => { const w = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= w + 1) return '';
  const e = [...document.querySelectorAll('main *')].find(e => e.getBoundingClientRect().right > w + 1 &&
    ![...function*(){ for (let p = e.parentElement; p; p = p.parentElement) yield p }()].some(p => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)));
  return `${document.documentElement.scrollWidth} px wide` + (e ? ` at ${e.tagName} ${e.textContent.slice(0, 30)}` : '') })()"""


def search(address: str, word: str) -> list[str]:
    """What goes wrong when a reader searches for a function and follows the first result."""
    with browser_page(WIDE) as (page, complaints):
        page.goto(f"{address}/index.html")
        page.keyboard.press("/")
        page.wait_for_timeout(300)
        page.keyboard.type(word)
        results = page.locator(f"a:visible:has-text('{word}')")
        try: results.first.wait_for(timeout=5000)
        except Exception: return [f"nothing found for {word}"] + complaints
        results.first.click()
        page.wait_for_load_state()
        if word not in page.inner_text("main"): complaints.append(f"{page.url} does not mention {word}")
    return complaints


def main() -> int:
    """Run the checks; how many failed."""
    names = sorted(p.relative_to(SITE).as_posix() for p in SITE.rglob("*.html"))
    with served(SITE) as address:
        complaints, images = visit(address, names, WIDE, BROKEN_IMAGES)
        failed = report(complaints, f"{len(names)} pages load without console errors")
        failed += report(images, "every picture is shown")
        failed += report(search(address, "mask_pool"), "search finds mask_pool")
        complaints, wide = visit(address, names, NARROW, TOO_WIDE)
        failed += report(complaints + wide, "every page fits a phone 390 px wide")
    return failed


def pictures(folder: Path) -> None:
    """Screenshots of every page, wide and narrow."""
    folder.mkdir(parents=True, exist_ok=True)
    with served(SITE) as address:
        for label, size in (("wide", WIDE), ("narrow", NARROW)):
            with browser_page(size) as (page, _):
                for path in sorted(SITE.rglob("*.html")):
                    page.goto(f"{address}/{path.relative_to(SITE).as_posix()}")
                    page.screenshot(path=folder / f"{path.stem}-{label}.png")


if __name__ == "__main__":
    missing = "no Chromium here (apt-get install chromium)" if not CHROMIUM else "the site is not built (make docs)" if not SITE.exists() else ""
    try: import playwright
    except ImportError: missing = "playwright is not installed (pip install playwright)"
    if missing: print(f"skip site in a browser: {missing}")
    elif "--pictures" in sys.argv: pictures(Path(sys.argv[-1]))
    else: sys.exit(main())
