"""Everything `make test` runs, fast checks first; the last line counts what passed and what failed.

python tools/check.py                all stages
python tools/check.py sync wheel     only these
"""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(sys.executable)
SECONDS_PER_NOTEBOOK = 15


class Tally:
    """What passed, failed and was skipped so far; each result is printed as it comes."""

    def __init__(self):
        self.count = Counter()

    def __call__(self, ok: bool, what: str, why: str = "") -> bool:
        self.count["passed" if ok else "failed"] += 1
        print(
            f"  {'ok  ' if ok else 'FAIL'} {what}" + ("" if ok or not why else "\n" + indent(why)), flush=True
        )
        return ok

    def skip(self, what: str, why: str) -> None:
        self.count["skipped"] += 1
        print(f"  skip {what}: {why}", flush=True)


def indent(text: str) -> str:
    return "\n".join("       " + line for line in text.strip().splitlines())


def run(*args: object, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess:
    """Run a command to its end and keep what it printed."""
    return subprocess.run(
        [str(a) for a in args],
        cwd=cwd,
        env={**os.environ, **env},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def tail(text: str, lines: int = 25) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


@contextmanager
def checkout_copy() -> Iterator[Path]:
    """A copy of the files git tracks or would track, so that no check writes into the working tree."""
    names = subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, text=True
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder) / name)
        yield Path(folder)


def differing(a: Path, b: Path, pattern: str) -> list[str]:
    """Names of the files matching `pattern` that are not the same in both folders."""
    names = {p.relative_to(folder).as_posix() for folder in (a, b) for p in folder.rglob(pattern)}
    names = {n for n in names if "_checkpoints" not in n}
    return sorted(
        n
        for n in names
        if not ((a / n).is_file() and (b / n).is_file() and filecmp.cmp(a / n, b / n, shallow=False))
    )


def sync(tally: Tally) -> None:
    """Notebooks are clean, the package is what they export, README.md is what the index notebook renders to."""
    with checkout_copy() as copy:
        done = run(PYTHON.parent / "nbdev_clean", "--fname", "nbs", cwd=copy)
        dirty = differing(ROOT / "nbs", copy / "nbs", "*.ipynb")
        tally(
            done.returncode == 0 and not dirty,
            "notebooks are clean (make export)",
            ", ".join(dirty) or tail(done.stdout),
        )
        for module in (copy / "dearli").rglob("*.py"):
            if module.name != "__init__.py":
                module.unlink()
        done = run(PYTHON.parent / "nbdev_export", cwd=copy)
        stale = differing(ROOT / "dearli", copy / "dearli", "*.py")
        tally(
            done.returncode == 0 and not stale,
            "dearli/ is what the notebooks export (make export)",
            ", ".join(stale) or tail(done.stdout),
        )
    done = run(PYTHON, "tools/readme.py", "--check")
    tally(
        done.returncode == 0, "README.md is what nbs/index.ipynb renders to (make readme)", tail(done.stdout)
    )


def flagged_cells(notebooks: list[Path]) -> str:
    """How many cells each test flag keeps out of this run."""
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    flags = config["DEFAULT"]["tst_flags"].split()
    sources = [
        "".join(c["source"]) for nb in notebooks for c in json.loads(nb.read_text(encoding="utf-8"))["cells"]
    ]
    marked = {flag: re.compile(rf"^#\| {flag}\b", re.M) for flag in flags}
    return ", ".join(f"{sum(bool(marked[flag].search(s)) for s in sources)} {flag}" for flag in flags)


def notebooks(tally: Tally) -> None:
    """`nbdev_test` on every notebook, one result each."""
    paths = sorted(p for p in (ROOT / "nbs").rglob("[!_.]*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    names = [p.name for p in paths]
    print(f"  cells that only run when asked for: {flagged_cells(paths)}")
    command = [PYTHON.parent / "nbdev_test", "--n_workers", "2", "--timing", "--do_print"]
    process = subprocess.Popen(
        [str(c) for c in command],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    begun, started, took, failed = time.time(), {}, {}, set()
    for line in process.stdout:  # of two workers, whose lines may run together
        steps = re.findall(r"(Starting|- Completed) \S*?([^/\\\s]+?\.ipynb)", line)
        for step, name in steps:
            if step == "Starting":
                started[name] = time.time()
            else:
                took[name] = time.time() - started.get(name, begun)
                print(f"       {took[name]:5.1f} s  {name}", flush=True)
        if match := re.search(r"\w+ in \S*?([^/\\\s]+\.ipynb):$", line.rstrip()):
            failed.add(match[1])
        if line.strip() in names:
            failed.add(line.strip())
        elif not steps and not re.match(r"\s*$|\S+\.ipynb: \d+ secs|(<Drawing>)+$", line):
            print("       " + line, end="", flush=True)
    if process.wait() and not failed:
        tally(False, "nbdev_test ended early; what it printed is above")
    for name in names:
        tally(name not in failed and name in took, name)
    for name in sorted(n for n, s in took.items() if s > SECONDS_PER_NOTEBOOK):
        print(
            f"  note: {name} took {took[name]:.0f} s; the budget is {SECONDS_PER_NOTEBOOK} s, mark its long cells `#| slow`"
        )


def build_wheel(tally: Tally, out: Path) -> Path | None:
    """The wheel of a copy of this checkout."""
    with checkout_copy() as copy:
        done = run(PYTHON, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy)
    wheels = list(out.glob("*.whl"))
    tally(done.returncode == 0 and len(wheels) == 1, "wheel builds", tail(done.stdout))
    return wheels[0] if wheels else None


def fresh_environment(tally: Tally, folder: Path, wheel: Path) -> Path:
    """A new environment holding the wheel alone; heavy requirements are borrowed from the one that runs this."""
    run(PYTHON, "-m", "venv", "--without-pip", folder)
    site = Path(
        run(folder / "bin/python", "-c", "import site; print(site.getsitepackages()[0])").stdout.strip()
    )
    borrowed = run(PYTHON, "-c", "import site; print(site.getsitepackages()[0])").stdout.strip()
    done = run(
        PYTHON, "-m", "pip", "--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel
    )
    # A path line does not make pip's editable hooks run, so the checkout itself stays out of reach.
    (site / "borrowed.pth").write_text(borrowed + "\n")
    tally(done.returncode == 0, "wheel installs into a fresh environment", tail(done.stdout))
    return folder / "bin"


def wheel(tally: Tally) -> None:
    """The wheel works from another folder: modules, command, shipped weights, class lists."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if not (built := build_wheel(tally, folder / "dist")):
            return
        size = built.stat().st_size / 2**20
        tally(size < 24, f"wheel is small enough for a package index ({size:.1f} MiB)")
        binaries = fresh_environment(tally, folder / "env", built)
        (folder / "elsewhere").mkdir()
        done = run(binaries / "python", "-I", ROOT / "tools" / "smoke.py", cwd=folder / "elsewhere")
        for line in done.stdout.splitlines():
            if match := re.match(r"(ok|FAIL) (.*)", line):
                tally(match[1] == "ok", match[2])
        tally(done.returncode == 0, "installed package works from another folder", tail(done.stdout))
        done = run(binaries / "dearli", "--help", cwd=folder / "elsewhere")
        tally(done.returncode == 0 and "usage" in done.stdout.lower(), "dearli --help", tail(done.stdout))


def docs(tally: Tally) -> None:
    """The site builds without warnings that matter, and every link inside it leads somewhere."""
    done = run(PYTHON, "tools/docs.py")
    tally(done.returncode == 0, "documentation site builds, no broken links (make docs)", tail(done.stdout))


def browser(tally: Tally) -> None:
    """The site in a real browser: console errors, search, a phone's width."""
    done = run(PYTHON, "tools/browser.py")
    for line in done.stdout.splitlines():
        if match := re.match(r"(ok|FAIL|skip) (.*)", line):
            if match[1] == "skip":
                tally.skip(*match[2].split(": ", 1))
            else:
                tally(match[1] == "ok", match[2])
    if done.returncode and "FAIL" not in done.stdout:
        tally(False, "browser checks", tail(done.stdout))


STAGES: dict[str, Callable[[Tally], None]] = {f.__name__: f for f in (sync, notebooks, wheel, docs, browser)}


def main(names: list[str]) -> int:
    """Run the named stages and print the closing line."""
    if unknown := set(names) - set(STAGES):
        sys.exit(f"unknown stage {sorted(unknown)[0]}; there are: {' '.join(STAGES)}")
    tally, begun = Tally(), time.time()
    for name in names or STAGES:
        start = time.time()
        print(f"{name}: {STAGES[name].__doc__}", flush=True)
        try:
            STAGES[name](tally)
        except Exception as error:
            tally(False, name, f"{type(error).__name__}: {error}")
        print(f"  {name} took {time.time() - start:.0f} s", flush=True)
    print(f"all took {time.time() - begun:.0f} s")
    skipped = f", {tally.count['skipped']} skipped" if tally.count["skipped"] else ""
    print(f"{tally.count['passed']} passed, {tally.count['failed']} failed{skipped}")
    return bool(tally.count["failed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
