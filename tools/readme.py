"""README.md from nbs/index.ipynb as stored, without Quarto; `--check` writes nothing and fails if they differ."""

import base64
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDEX, README, IMAGES = ROOT / "nbs" / "index.ipynb", ROOT / "README.md", ROOT / "nbs" / "images"


def text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def from_root(markdown: str) -> str:
    """Relative links of a page in nbs/ as seen from the repository's root."""
    return re.sub(r"\]\((?!https?:|#|mailto:|/)(?:\./)?(?!\.\./)([^)]+)\)", r"](nbs/\1)", markdown).replace(
        "](../", "]("
    )


def render_output(output: dict, number: int, files: dict[Path, bytes]) -> str:
    """One stored output as Markdown; a picture becomes a file beside the notebooks."""
    data = output.get("data", {})
    if picture := next((kind for kind in ("image/png", "image/jpeg") if kind in data), None):
        path = IMAGES / f"readme-{number}.{picture[6:]}"
        files[path] = base64.b64decode(text(data[picture]))
        return f"![]({path.relative_to(ROOT).as_posix()})"
    if "text/markdown" in data:
        return from_root(text(data["text/markdown"])).strip()
    return "```\n" + (text(output.get("text", "")) or text(data.get("text/plain", ""))).rstrip() + "\n```"


def render_cell(cell: dict, files: dict[Path, bytes]) -> list[str]:
    """Markdown blocks of one cell; hidden cells have none."""
    source = text(cell["source"]).strip()
    if cell["cell_type"] == "markdown":
        return [from_root(source)]
    lines = source.splitlines()
    directives = {line[2:].strip() for line in lines if line.startswith("#|")}
    if (
        cell["cell_type"] != "code"
        or "hide" in directives
        or any(d.startswith("default_exp") for d in directives)
    ):
        return []
    code = "\n".join(line for line in lines if not line.startswith("#|")).strip()
    blocks = [] if "echo: false" in directives else [f"```python\n{code}\n```"]
    for output in [] if "output: false" in directives else cell["outputs"]:
        blocks.append(render_output(output, len(files) + 1, files))
    return blocks


def render() -> dict[Path, bytes]:
    """Every file that the index notebook makes, README.md last."""
    files: dict[Path, bytes] = {}
    blocks = ["<!-- Made from nbs/index.ipynb by `make readme`; edit the notebook. -->"]
    for cell in json.loads(INDEX.read_text(encoding="utf-8"))["cells"]:
        blocks += render_cell(cell, files)
    files[README] = ("\n\n".join(b for b in blocks if b) + "\n").encode()
    return files


if __name__ == "__main__":
    stale = [path for path, content in render().items() if not path.exists() or path.read_bytes() != content]
    if "--check" in sys.argv:
        if stale:
            sys.exit(f"{', '.join(p.name for p in stale)} differ from nbs/index.ipynb; run make readme")
    else:
        for path, content in render().items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
