"""The built site and the walkthroughs in JupyterLab, in headless Chromium; `--screenshot on` keeps pictures."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from functools import partial

import docs
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

pytest.importorskip("pytest_playwright", reason="pip install pytest-playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = ["index", *docs.ORDER, "changelog", "contributing"]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 240  # seconds; a busy machine is slow, not broken
# A page, one of its sliders, one of its menus, another entry of that menu.
WALKTHROUGHS = [("figure3", "scene", "backbone", "ViT CLIP"), ("figure5", "groups", "split", "1/16")]
BROKEN_IMAGES = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).map(i => i.alt || i.src)"
# What a walkthrough shows, as text that changes when the picture does.
SHOWN = """[...document.querySelectorAll('.walk .stage')].map(
  s => s.innerHTML + [...s.querySelectorAll('canvas')].map(c => c.toDataURL()))"""
PICTURES = """Promise.all([...document.querySelectorAll('.jupyter-widgets img')].map(
  async i => [...new Uint8Array(await (await fetch(i.src)).arrayBuffer())].reduce((h, b) => (31 * h + b) | 0)))"""
RAN = """[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(
  p => /\\[\\d+\\]/.test(p.textContent))"""
ERRORS = """[...document.querySelectorAll('[data-mime-type$=".error"], [data-mime-type$=".stderr"]')]
  .map(e => e.textContent.slice(-300))"""


@pytest.fixture(scope="session")
def problems():
    return docs.build()


@pytest.fixture(scope="session")
def base_url(problems):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=docs.SITE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser_type_launch_args():
    if not CHROMIUM:
        pytest.skip("no Chromium here (apt-get install chromium)")
    return {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-dev-shm-usage"]}


@pytest.fixture
def complaints(page):
    """Collect what the browser complains about; a page of the site has none."""
    found = []
    page.set_default_timeout(1000 * PATIENCE)
    page.on("console", lambda m: m.type == "error" and found.append(f"{page.url}: {m.text}"))
    page.on("pageerror", lambda e: found.append(f"{page.url}: Uncaught {e}"))
    page.on("requestfailed", lambda r: "ABORTED" in r.failure or found.append(f"{r.url}: {r.failure}"))
    return found


def serious(page):
    """What axe-core finds that keeps somebody from using a page."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    grave = [v for v in found if v["impact"] in ("serious", "critical")]
    return [f"{v['id']}: {node['html'][:200]}" for v in grave for node in v["nodes"][:3]]


def changes(page, shows, act):
    """Do something and wait until the page shows something else."""
    before = page.evaluate(shows)
    act()
    script = f"async before => JSON.stringify(await ({shows})) != JSON.stringify(before)"
    page.wait_for_function(script, arg=before, polling=250)


def test_site_builds_and_every_link_leads_somewhere(problems):
    assert not problems


@pytest.mark.parametrize("name", PAGES)
def test_page(page, complaints, name):
    page.set_viewport_size(WIDE)
    page.goto(f"/{name}.html", wait_until="load")
    assert not page.evaluate(BROKEN_IMAGES)
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"] + 1, (
        "too wide for a phone"
    )
    assert not complaints
    page.set_viewport_size(WIDE)
    assert not serious(page)


@pytest.mark.parametrize("name", ["index", "6-study/figure3", "6-study/results", "3-method/clip"])
def test_page_in_the_dark(page, complaints, name):
    page.emulate_media(color_scheme="dark")
    page.goto(f"/{name}.html", wait_until="load")
    assert not serious(page) and not complaints


def test_keyboard_leads_past_the_menus(page, complaints):
    page.goto("/index.html")
    page.keyboard.press("Tab")
    assert "Skip" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.id == 'quarto-document-content'")
    assert not complaints


def test_old_addresses_lead_to_todays_pages(page, complaints):
    page.goto("/clip.html#build_text_classifier")
    page.wait_for_url("**/3-method/clip.html#build_text_classifier")
    assert not complaints


def test_search_finds_a_function(page, complaints):
    page.goto("/index.html")
    page.keyboard.press("/")
    page.wait_for_timeout(300)
    page.keyboard.type("mask_pool")
    page.locator("a:visible:has-text('mask_pool')").first.click()
    page.wait_for_load_state()
    assert "mask_pool" in page.inner_text("main") and not complaints


def test_search_puts_first_the_page_that_explains(page, complaints):
    words = yaml.safe_load((docs.NBS / "search.yml").read_text())
    page.goto("/index.html")
    box = page.locator(".smalldocs-search input:visible").first
    wrong = []
    for address, terms in words.items():
        for term in terms:
            box.fill(term)
            page.wait_for_timeout(300)  # the box waits before it searches
            first = page.locator(".search-result:visible").first.get_attribute("href")
            wrong += [] if first.endswith(address) else [f"{term}: {first}, not {address}"]
    assert not wrong and not complaints


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name, slider, menu, entry", WALKTHROUGHS, ids=[w[0] for w in WALKTHROUGHS])
def test_walkthrough_on_the_site(page, complaints, name, slider, menu, entry, size):
    page.set_viewport_size(size)
    page.goto(f"/6-study/{name}.html", wait_until="load")
    handle = page.locator(f".walk input[type=range][name={slider}]")
    changes(page, SHOWN, lambda: handle.press("ArrowRight"))
    changes(page, SHOWN, lambda: page.locator(f".walk select[name={menu}]").select_option(entry))
    controls = "[...document.querySelectorAll('.walk input, .walk select')]"
    assert not page.evaluate(f"{controls}.filter(c => !c.labels.length).length"), "controls without a label"
    assert not complaints


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory):
    """Start a JupyterLab that keeps everything in one folder; gives the address of a notebook."""
    pytest.importorskip("jupyterlab", reason="pip install jupyterlab")
    home = tmp_path_factory.mktemp("lab")
    for name, *_ in WALKTHROUGHS:
        shutil.copy2(next(docs.NBS.glob(f"*/*_{name}.ipynb")), home / f"{name}.ipynb")
    settings = home / ".jupyter/lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}')  # all cells are on the page
    options = "--no-browser --allow-root --ServerApp.port=0 --LabApp.expose_app_in_browser=True".split()
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={home}"]
    places = {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home)}
    with open(home / "log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | places, stdout=log, stderr=log)
    while not (running := list(home.glob("jpserver-*.json"))):
        assert server.poll() is None, (home / "log").read_text()
        time.sleep(1)
    info = json.loads(running[0].read_text())
    yield lambda name: f"{info['url']}lab/workspaces/{name}/tree/{name}.ipynb?token={info['token']}"
    server.terminate()


@pytest.mark.parametrize("name, slider, menu, entry", WALKTHROUGHS, ids=[w[0] for w in WALKTHROUGHS])
def test_walkthrough_in_jupyterlab(laboratory, page, complaints, name, slider, menu, entry):
    page.set_viewport_size(WIDE)
    page.goto(laboratory(name), wait_until="load")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    idle = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status == 'idle'"
    page.wait_for_function(f"jupyterapp.commands.isEnabled('notebook:run-all-cells') && {idle}")
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function(f"{RAN} || {ERRORS}.length", timeout=3000 * PATIENCE, polling=500)
    assert not page.evaluate(ERRORS)
    page.locator(".jupyter-widgets img").first.wait_for()
    changes(page, PICTURES, lambda: page.locator(".widget-slider .noUi-handle").first.press("ArrowRight"))
    page.wait_for_function(idle)
    chosen = page.locator(".widget-dropdown option").filter(has_text=entry).first
    menu = chosen.locator("..")
    changes(page, PICTURES, lambda: menu.select_option(value=chosen.get_attribute("value")))
    assert not page.evaluate(ERRORS) + [c for c in complaints if "Uncaught" in c]
