"""Create a virtual environment with pip in it, also where the system Python came without `ensurepip`."""

import subprocess
import sys
from pathlib import Path


def run(*args: object) -> bool:
    """Whether the command succeeded; what it printed is kept back."""
    try:
        return subprocess.run([str(a) for a in args], capture_output=True).returncode == 0
    except OSError:
        return False


def create(folder: Path) -> bool:
    """Make `folder` a virtual environment that has pip."""
    python = folder / "bin" / "python"
    if run(python, "-m", "pip", "--version"):
        return True
    if run(sys.executable, "-m", "venv", folder):
        return True
    # Debian splits ensurepip off; the system's own pip can then fill an environment made without it.
    return (
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
        and run(sys.executable, "-m", "pip", "--python", python, "install", "pip")
    ) or (run(sys.executable, "-m", "virtualenv", folder))


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit(
            f"dearli needs Python 3.11 or newer and found {sys.version.split()[0]}; name another one with make install PYTHON=python3.11"
        )
    if not create(Path(sys.argv[1])):
        sys.exit(
            f"{sys.executable} cannot make a virtual environment; install its venv module (on Debian and Ubuntu: apt-get install python3-venv) and try again"
        )
