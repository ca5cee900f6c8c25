"""What several tools need: where things are, a command, a copy of the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def run(*args: object, cwd: Path = ROOT) -> str:
    """Run a command to its end and return what it printed; AssertionError with its last lines if it failed."""
    environment = {k: v for k, v in os.environ.items() if k != "IN_TEST"}  # nbdev exports nothing in a test
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run([str(a) for a in args], cwd=cwd, env=environment, text=True, **pipes)
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-40:])
    return done.stdout


def copy_tree(folder: Path) -> Path:
    """Copy the files of the checkout that git knows or would know, and nothing beside them."""
    names = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True)
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder
