"""The built site, and the walkthroughs in JupyterLab, in headless Chromium: prints a line `ok`, `FAIL` or `skip` for each check.

python tools/browser.py                      the checks
python tools/browser.py site                 only those of the site; or `lab`
python tools/browser.py --pictures FOLDER    screenshots of every page and of both walkthroughs instead, wide and narrow
"""

import http.server
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_docs"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 240  # seconds; a busy machine is slow, not broken
WALKTHROUGHS = {
    "6-study/figure3": ("scene", "backbone", "ViT CLIP"),
    "6-study/figure5": ("groups", "split", "1/16"),
}  # page: a slider, a menu, another entry of it


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a web server for a folder, on this machine only."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def browser_page(size: dict) -> Iterator[tuple]:
    """A page of a new browser, and the list of what it complains about."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page, complaints = browser.new_page(viewport=size), []
        page.set_default_timeout(1000 * PATIENCE)
        page.on(
            "console", lambda m: complaints.append(f"{page.url}: {m.text}") if m.type == "error" else None
        )
        page.on("pageerror", lambda e: complaints.append(f"{page.url}: {e}"))
        page.on(
            "requestfailed",
            lambda r: (
                None
                if r.failure == "net::ERR_ABORTED"
                else complaints.append(f"{page.url}: {r.url} not loaded")
            ),
        )
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
            if said := page.evaluate(script):
                found.append(f"{name}: {said}")
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
        try:
            results.first.wait_for(timeout=5000)
        except Exception:
            return [f"nothing found for {word}"] + complaints
        results.first.click()
        page.wait_for_load_state()
        if word not in page.inner_text("main"):
            complaints.append(f"{page.url} does not mention {word}")
    return complaints


# What a walkthrough shows, as text that changes when the picture does.
SHOWN = "[...document.querySelectorAll('.walk .stage')].map(s => s.innerHTML + [...s.querySelectorAll('canvas')].map(c => c.toDataURL())).join()"
PICTURES = """Promise.all([...document.querySelectorAll('.jupyter-widgets img')].map(async i => {
  let h = 0; for (const b of new Uint8Array(await (await fetch(i.src)).arrayBuffer())) h = (31 * h + b) | 0; return h }))"""


def changed(page, shows: str, before: object, what: str) -> list[str]:
    """Wait until the page shows something else; what went wrong."""
    try:
        page.wait_for_function(
            f"async before => JSON.stringify(await ({shows})) != JSON.stringify(before)",
            arg=before,
            polling=250,
        )
    except Exception:
        return [f"{what} changes no picture"]
    return []


def still_walkthrough(address: str, name: str, size: dict) -> list[str]:
    """Move a slider and choose from a menu on a page without a kernel; what went wrong."""
    slider, menu, entry = WALKTHROUGHS[name]
    with browser_page(size) as (page, complaints):
        page.goto(f"{address}/{name}.html", wait_until="load")
        handle = page.locator(f".walk input[type=range][name={slider}]")
        handle.scroll_into_view_if_needed()
        before = page.evaluate(SHOWN)
        handle.focus()
        page.keyboard.press("ArrowRight")
        complaints += changed(page, SHOWN, before, f"slider {slider}")
        before = page.evaluate(SHOWN)
        page.locator(f".walk select[name={menu}]").select_option(entry)
        complaints += changed(page, SHOWN, before, f"menu {menu}")
        unlabelled = page.evaluate(
            "[...document.querySelectorAll('.walk input, .walk select')].filter(c => !c.labels.length).length"
        )
        return complaints + ([f"{unlabelled} controls without a label"] if unlabelled else [])


def site(names: list[str]) -> int:
    """Checks of the built site; how many failed."""
    with served(SITE) as address:
        complaints, images = visit(address, names, WIDE, BROKEN_IMAGES)
        failed = report(complaints, f"{len(names)} pages load without console errors")
        failed += report(images, "every picture is shown")
        failed += report(search(address, "mask_pool"), "search finds mask_pool")
        complaints, wide = visit(address, names, NARROW, TOO_WIDE)
        failed += report(complaints + wide, "every page fits a phone 390 px wide")
        for name in WALKTHROUGHS:
            for size in (WIDE, NARROW):
                failed += report(
                    still_walkthrough(address, name, size),
                    f"{name}: slider and menu move the picture, {size['width']} px",
                )
    return failed


def settings(folder: Path) -> dict[str, str]:
    """Environment for a JupyterLab that keeps everything in one folder, shows all cells and asks no one for news."""
    files = {
        "config/labconfig/page_config.json": {
            "disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}
        },
        "user/@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "user"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }  # threads that wait for each other on a busy machine take minutes


@contextmanager
def laboratory() -> Iterator[Callable[[str], str]]:
    """A JupyterLab on this machine with a copy of the walkthroughs; gives the address of a notebook."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        folder, token = Path(folder), secrets.token_hex(16)
        (folder / "nbs").mkdir()
        for name in WALKTHROUGHS:
            shutil.copy2(
                next((ROOT / "nbs").glob(name.replace("/", "/[0-9][0-9]_") + ".ipynb")),
                folder / "nbs" / f"{Path(name).name}.ipynb",
            )
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        options = [
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={folder / 'nbs'}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
        ]
        with open(folder / "log", "w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options],
                env={**os.environ, **settings(folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(f"http://127.0.0.1:{port}/api", server, folder / "log")
            yield (
                lambda name: (
                    f"http://127.0.0.1:{port}/lab/workspaces/{Path(name).name}/tree/{Path(name).name}.ipynb?token={token}"
                )
            )  # or the last notebook opens too
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    """Wait for a server to answer; RuntimeError with the end of its log if it does not."""
    until = time.time() + PATIENCE
    while server.poll() is None and time.time() < until:
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-300:]}")


RAN = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(p => /\\[\\d+\\]/.test(p.textContent))"
RUNNING = "[...document.querySelectorAll('.jp-CodeCell')].filter(c => !/\\[\\d+\\]/.test(c.querySelector('.jp-InputPrompt').textContent)).map(c => c.querySelector('.jp-InputArea-editor').textContent.slice(0, 80))[0]"
ERRORS = '[...document.querySelectorAll(\'[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]\')].map(e => e.textContent.slice(-300))'


# Which menu has an entry, and where in it; widgets write names with spaces that do not break.
ENTRY = """name => { const menus = [...document.querySelectorAll('.widget-dropdown select')].map(m => [...m.options].map(o => o.text.replace(/\\xa0/g, ' ')).indexOf(name));
  const place = menus.findIndex(i => i >= 0); return [place, menus[place]] }"""


def run_all(page, address: str) -> list[str]:
    """Open a notebook and run all cells; the errors they show."""
    page.goto(address, wait_until="load")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.wait_for_function("() => jupyterapp.commands.isEnabled('notebook:run-all-cells')")
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status == 'idle'"
    )
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")
    try:
        page.wait_for_function(f"() => {RAN} || {ERRORS}.length", timeout=3000 * PATIENCE, polling=500)
    except Exception:
        return [f"still runs after {3 * PATIENCE} s: {page.evaluate(RUNNING)}"]
    return page.evaluate(ERRORS)


def live_walkthrough(page, address: str, name: str) -> list[str]:
    """Run a notebook in JupyterLab, move a slider, choose from a menu; what went wrong."""
    _, menu, entry = WALKTHROUGHS[name]
    if errors := run_all(page, address):
        return errors
    page.locator(".jupyter-widgets img").first.wait_for()
    before = page.evaluate(PICTURES)
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    problems = changed(page, PICTURES, before, "a slider")
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status == 'idle'"
    )
    before = page.evaluate(PICTURES)
    place, index = page.evaluate(ENTRY, entry)
    page.locator(".widget-dropdown select").nth(place).select_option(index=index)
    return problems + changed(page, PICTURES, before, f"menu {menu}") + page.evaluate(ERRORS)


def lab() -> int:
    """Checks of the walkthroughs in a running JupyterLab; how many failed."""
    failed = 0
    with laboratory() as address:
        for name in WALKTHROUGHS:
            with browser_page(WIDE) as (page, complaints):
                try:
                    problems = live_walkthrough(page, address(name), name)
                except Exception as error:
                    problems = [f"{type(error).__name__}: {str(error)[:300]}"]
                errors = [
                    c for c in complaints if "Uncaught" in c
                ]  # JupyterLab itself logs what it does not find
                failed += report(
                    problems + errors,
                    f"{name} in JupyterLab: all cells run, slider and menu move the picture",
                )
    return failed


def pictures(folder: Path) -> None:
    """Screenshots of every page and of the walkthroughs in JupyterLab, wide and narrow."""
    folder.mkdir(parents=True, exist_ok=True)
    with served(SITE) as address:
        for label, size in (("wide", WIDE), ("narrow", NARROW)):
            with browser_page(size) as (page, _):
                for path in sorted(SITE.rglob("*.html")):
                    page.goto(f"{address}/{path.relative_to(SITE).as_posix()}")
                    page.screenshot(path=folder / f"{path.stem}-{label}.png")
                    if path.relative_to(SITE).with_suffix("").as_posix() in WALKTHROUGHS:
                        page.locator(".walk").screenshot(path=folder / f"{path.stem}-still-{label}.png")
    with laboratory() as address:
        for name in WALKTHROUGHS:
            with browser_page({"width": 1440, "height": 1100}) as (page, _):
                run_all(page, address(name))
                page.locator(".jupyter-widgets img").first.scroll_into_view_if_needed()
                page.wait_for_timeout(1500)
                page.screenshot(path=folder / f"{Path(name).name}-lab.png")
                page.locator(".jp-OutputArea-output .jupyter-widgets").first.screenshot(
                    path=folder / f"{Path(name).name}-lab-widgets.png"
                )


def main(parts: list[str]) -> int:
    """Run the checks, or say why not; how many failed."""
    if not CHROMIUM or not importlib.util.find_spec("playwright"):
        print(
            f"skip site and walkthroughs in a browser: no {'playwright (pip install playwright)' if CHROMIUM else 'Chromium here (apt-get install chromium)'}"
        )
        return 0
    failed, names = (
        0,
        sorted(
            p.relative_to(SITE).as_posix()
            for p in SITE.rglob("*.html")
            if "This page has moved" not in p.read_text()
        ),
    )
    if "site" in parts and not names:
        print("skip site in a browser: the site is not built (make docs)")
    elif "site" in parts:
        failed += site(names)
    if "lab" in parts and not importlib.util.find_spec("jupyterlab"):
        print("skip walkthroughs in JupyterLab: it is not installed (pip install jupyterlab)")
    elif "lab" in parts:
        failed += lab()
    return failed


if __name__ == "__main__":
    if "--pictures" in sys.argv:
        pictures(Path(sys.argv[-1]))
    else:
        sys.exit(main(sys.argv[1:] or ["site", "lab"]))
