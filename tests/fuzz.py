"""Change files at random and read them: `python tests/fuzz.py --count 1000 --out record.json`.

A reader may refuse a changed file with a sentence or read it. Everything else is a fault: another exception is a
traceback to the user, and a process that ends takes the work of a night with it. Trials run in a forked process that
reports each of them, so that a trial that ends the process is counted and the next one goes on.
"""

import argparse
import copy
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dearli.config import RunConfig, read_run, read_taxonomy
from dearli.data.check import check, image_facts
from dearli.data.datafile import open_data
from dearli.data.init import init_data
from dearli.data.sources import read_numbers
from dearli.images import read_image
from dearli.io import DearliError, to_dict, write_json
from dearli.panoptic import Panoptic, Segments, Taxonomy, write_coco_panoptic
from dearli.study.records import make_record

SIZE = 24  # pixels of the images; small ones are read fast
VALUES = (
    *(
        None,
        True,
        -1,
        0,
        1.5,
        2**31,
        2**63,
        -(2**70),
        1e308,
        float("nan"),
        float("inf"),
        "",
        " ",
        "x",
        "1",
        "é\ud800",
    ),
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "a\0b",
        "\x1b[2J",
        "a" * 300,
        "$\\bad$",
        [],
        [[]],
        [None],
        {},
        {"a": {}},
        [1, 2],
    ),
)
MEMORY = 3 * 2**30  # bytes that a trial may take


@dataclass(frozen=True)
class Reader:
    """A kind of file, how it is changed, and what reads it."""

    make: Callable[[Path], Path]  # writes what a reader needs into a folder, and gives the file to change
    change: Callable[[bytes, random.Random], bytes]
    read: Callable[[Path], object]  # gets the folder


def change_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, remove, repeat or insert bytes, or cut the end."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 16))
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.randbytes(length)
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


def places(value: object, path: tuple = ()) -> list[tuple]:
    """List the paths to every value in nested lists and dictionaries."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for k, v in inner for p in places(v, (*path, k)))]


def change_json(content: bytes, rng: random.Random) -> bytes:
    """Replace, remove or repeat values of a JSON, sometimes bytes of its text."""
    if rng.random() < 0.2:
        return change_bytes(content, rng)
    value = copy.deepcopy(json.loads(content))
    for _ in range(rng.choice((1, 1, 1, 3))):
        found = [p for p in places(value) if p]
        if not found:
            break
        *path, key = rng.choice(found)
        inner = value
        for step in path:
            inner = inner[step]
        kind = rng.randrange(4)
        if kind == 0:
            del inner[key]
        elif kind == 1 and isinstance(inner, list):
            inner.append(copy.deepcopy(inner[key]))
        elif kind == 2:
            inner[key] = [inner[key]]
        else:
            inner[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(value).encode()


def change_toml(content: bytes, rng: random.Random) -> bytes:
    """Replace, remove or repeat lines and values of a TOML, sometimes bytes of its text."""
    if rng.random() < 0.4:
        return change_bytes(content, rng)
    lines = content.decode().splitlines()
    at = rng.randrange(len(lines))
    kind = rng.randrange(3)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(rng.randrange(len(lines)), lines[at])
    else:
        key = lines[at].split("=")[0]
        forms = (
            "1",
            "-1",
            "1.5",
            "nan",
            "[]",
            "{}",
            '""',
            '"../x"',
            '"\\u0000"',
            "[[1]]",
            "true",
            "1979-05-27",
            '["1 thing: a"]',
        )
        lines[at] = f"{key}= {rng.choice(forms)}"
    return "\n".join(lines).encode()


CLASSES = ["0 stuff: background", "1 thing: cell"]
PANOPTIC = 'images = "images"\njson = "a.json"\nmasks = "panoptic"\n'
INSTANCES = 'format = "coco-instances"\nimages = "images"\njson = "a.json"\n'


def make_images(folder: Path) -> None:
    """Draw three images, the last of them for the pool."""
    for n in range(3):
        place = folder / ("pool" if n == 2 else "images")
        place.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(n).integers(0, 255, (SIZE, SIZE, 3), np.uint8)).save(
            place / f"{n}.png"
        )


def make_dataset(folder: Path, section: str) -> None:
    """Write a dataset file beside its images."""
    make_images(folder)
    lines = ", ".join(json.dumps(c) for c in CLASSES)
    head = f'name = "cells"\nclasses = [{lines}]\n'
    (folder / "d.toml").write_text(
        f'{head}[labelled]\n{section}[validation]\n{section}[unlabelled]\nimages = "pool"\n'
    )


def make_instances(folder: Path) -> Path:
    """Write a dataset of COCO instances: polygons and run lengths."""
    make_dataset(folder, INSTANCES)
    ring, runs = [2, 2, 12, 2, 12, 12, 2, 12], {"size": [SIZE, SIZE], "counts": [100, 50, SIZE * SIZE - 150]}
    rows = [
        {
            "id": 2 * n + k,
            "image_id": n,
            "category_id": 1,
            "iscrowd": k,
            "area": 100,
            "segmentation": [shape] if k == 0 else shape,
        }
        for n in (0, 1)
        for k, shape in enumerate((ring, runs))
    ]
    images = [{"id": n, "file_name": f"{n}.png", "height": SIZE, "width": SIZE} for n in (0, 1)]
    write_json(
        folder / "a.json", {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cell"}]}
    )
    return folder / "a.json"


def make_panoptic(folder: Path) -> Path:
    """Write a dataset of COCO-panoptic."""
    import torch

    make_dataset(folder, PANOPTIC)
    categories = [{"id": 0, "name": "background", "isthing": 0}, {"id": 1, "name": "cell", "isthing": 1}]
    taxonomy = Taxonomy.from_json({"name": "cells", "categories": categories})
    ids = torch.ones(SIZE, SIZE, dtype=torch.int32)
    ids[:8, :8] = 2
    truth = Panoptic(ids, Segments.make([0, 1], taxonomy))
    write_coco_panoptic(folder, [("0.png", truth), ("1.png", truth)], taxonomy)
    (folder / "panoptic.json").rename(folder / "a.json")
    return folder / "a.json"


def make_toml(folder: Path) -> Path:
    """Write a dataset and give its dataset file."""
    make_panoptic(folder)
    return folder / "d.toml"


def make_run(folder: Path) -> Path:
    """Write what describes a run."""
    write_json(folder / "config.json", to_dict(RunConfig(backbone="shapes-conv", recipe="dear")))
    make_classes(folder)
    return folder / "config.json"


def make_classes(folder: Path) -> Path:
    """Write the classes of a run."""
    categories = [{"id": 1, "name": "cell", "isthing": 1, "synonyms": ["nucleus"], "color": [1, 2, 3]}]
    write_json(folder / "taxonomy.json", {"name": "cells", "categories": categories})
    return folder / "taxonomy.json"


def make_picture(folder: Path, ending: str, mode: str) -> Path:
    """Write a picture of a form."""
    values = np.random.default_rng(0).integers(0, 4, (SIZE, SIZE))
    image = Image.fromarray(values.astype(np.float32) if mode == "F" else values.astype(np.uint8))
    image.convert(mode).save(folder / f"a.{ending}")
    return folder / f"a.{ending}"


def open_all(folder: Path) -> None:
    """Open a dataset file and read every example of it."""
    data = open_data(folder / "d.toml")
    for part in (data.labelled, data.validation, data.unlabelled):
        for i in range(len(part) if part is not None else 0):
            try:
                part[i]
            except DearliError:
                pass


def init_again(folder: Path) -> None:
    """Describe a folder anew."""
    (folder / "dearli.toml").unlink(missing_ok=True)
    init_data(folder)


def read_picture(folder: Path) -> None:
    """Read a picture in all ways."""
    (path,) = folder.glob("a.*")
    image_facts(path)
    for read in (read_image, read_numbers):
        try:
            read(path)
        except DearliError:
            pass


def check_all(folder: Path) -> None:
    """Check a dataset with one thread."""
    check(folder / "d.toml", workers=1)


def png(folder: Path) -> Path:
    """Write a colour PNG."""
    return make_picture(folder, "png", "RGB")


def png_map(folder: Path) -> Path:
    """Write a PNG of class values."""
    return make_picture(folder, "png", "L")


def tiff(folder: Path) -> Path:
    """Write a grey TIFF."""
    return make_picture(folder, "tif", "L")


def tiff_float(folder: Path) -> Path:
    """Write a TIFF of measured values."""
    return make_picture(folder, "tif", "F")


READERS = {
    "COCO-panoptic, check": Reader(make_panoptic, change_json, check_all),
    "COCO-panoptic, open": Reader(make_panoptic, change_json, open_all),
    "COCO-panoptic, init": Reader(make_panoptic, change_json, init_again),
    "COCO instances, check": Reader(make_instances, change_json, check_all),
    "COCO instances, open": Reader(make_instances, change_json, open_all),
    "COCO instances, init": Reader(make_instances, change_json, init_again),
    "dataset file, check": Reader(make_toml, change_toml, check_all),
    "dataset file, open": Reader(make_toml, change_toml, open_all),
    "run, config.json": Reader(make_run, change_json, read_run),
    "run, taxonomy.json": Reader(make_classes, change_json, read_taxonomy),
    "PNG": Reader(png, change_bytes, read_picture),
    "PNG of class values": Reader(png_map, change_bytes, read_picture),
    "TIFF": Reader(tiff, change_bytes, read_picture),
    "TIFF of measured values": Reader(tiff_float, change_bytes, read_picture),
}


def outcome(reader: Reader, folder: Path) -> str:
    """Read a changed file: 'read', 'refused', or the end of a traceback."""
    try:
        reader.read(folder)
    except DearliError as e:
        return "refused" if str(e).strip() and "\n" not in str(e).strip() else f"no sentence: {e!r}"
    except BaseException as e:
        return f"traceback: {traceback.extract_tb(e.__traceback__)[-1]} {e!r}"[:600]
    return "read"


def trials(name: str, start: int, stop: int, seed: int, folder: Path, tell: Callable[[tuple], None]) -> None:
    """Change and read a file a number of times, each time from the same beginning."""
    warnings.simplefilter("ignore")
    reader = READERS[name]
    path = reader.make(folder)
    content = path.read_bytes()
    for k in range(start, stop):
        tell((k, "begun"))
        path.write_bytes(reader.change(content, random.Random(f"{name} {seed} {k}")))
        tell((k, outcome(reader, folder)))


def child(name: str, start: int, stop: int, seed: int, pipe) -> None:
    """Carry out trials in a process of their own, with little memory."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    sys.stderr = open("/dev/null", "w")
    with tempfile.TemporaryDirectory() as folder:
        trials(name, start, stop, seed, Path(folder), pipe.send)


def fuzz(name: str, count: int, seed: int = 0, patience: float = 60) -> tuple[Counter, list[str]]:
    """Carry out trials of a reader; gives how they ended, and what was wrong."""
    context, done = multiprocessing.get_context("fork"), 0
    ends, faults = Counter({"read": 0, "refused": 0, "traceback": 0, "ended": 0}), []
    while done < count:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(name, done, count, seed, theirs))
        process.start()
        theirs.close()
        try:
            while done < count and ours.poll(patience):
                k, end = ours.recv()
                if end == "begun":
                    continue
                done = k + 1
                ends[end if end in ends else "traceback"] += 1
                faults += [] if end in ends else [f"{name}, trial {k}, seed {seed}: {end}"]
        except EOFError:
            pass
        process.kill() if process.is_alive() and done < count else None
        process.join()
        if done < count:
            ends["ended"] += 1
            faults.append(f"{name}, trial {done}, seed {seed}: the process ended with {process.exitcode}")
            done += 1
    return ends, faults


def main() -> int:
    """Fuzz the readers, print a table and write a record; gives 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="changed files for each reader")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    parser.add_argument("--only", nargs="*", default=list(READERS), help="readers, all by default")
    parser.add_argument("--out", help="JSON record to write")
    options = parser.parse_args()
    rows, wrong = {}, []
    for name in options.only:
        ends, faults = fuzz(name, options.count, options.seed)
        rows[name], wrong = dict(ends), wrong + faults
        print(f"{name:26}" + "".join(f"{n:8} {end}" for end, n in ends.items()), flush=True)
    print("\n".join(wrong[:40]))
    if options.out:
        write_json(options.out, make_record("fuzz", count=options.count, seed=options.seed, readers=rows))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
