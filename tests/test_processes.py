"""Two processes of one command, as torchrun starts them: they share the work, and one of them writes and prints."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

SMALL = "small --train.steps 3 --train.burn-in 1 --train.lr 1e-4 --view.crop 48 --model.queries 8".split()
SMALL += "--train.log-every 1 --train.checkpoint-every 2 --criterion.points 256".split()
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "--", "dearli.cli"]
ACCELERATE = ["accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m", "dearli.cli"]


def dearli(*args, launcher=("dearli.cli",)):
    """Run a command on the CPU, alone or through a launcher; return its status and what it printed."""
    command = [sys.executable, "-W", "ignore", "-m", *launcher, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four labelled images with a box each, two validation and four unlabelled images, as PNG files."""
    root, draw = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 2), ("pool", 4)):
        for i in range(count):
            (root / part).mkdir(exist_ok=True)
            picture, boxes = draw.integers(0, 90, (64, 64, 3)), np.zeros((64, 64), np.uint8)
            y, x = draw.integers(4, 36, 2)
            picture[y : y + 20, x : x + 20] += 150
            boxes[y : y + 20, x : x + 20] = 1
            Image.fromarray(picture.astype(np.uint8)).save(root / part / f"{part}{i}.png")
            for end, values in (("sem", boxes + 1), ("inst", boxes)) if part != "pool" else ():
                (root / f"{part}_{end}").mkdir(exist_ok=True)
                Image.fromarray(values).save(root / f"{part}_{end}" / f"{part}{i}.png")
    text = 'name = "boxes"\nclasses = ["1 stuff: ground", "2 thing: box"]\n'
    for section, part in (("labelled", "train"), ("validation", "val")):
        text += f'[{section}]\nformat = "png"\nimages = "{part}"\nsemantic = "{part}_sem"\n'
        text += f'instances = "{part}_inst"\n'
    (root / "d.toml").write_text(f'{text}[unlabelled]\nimages = "pool"\n')
    return root


def test_two_processes_train_and_score_as_one(data):
    file = data / "d.toml"
    one, two = data / "one", data / "two"
    sizes = ("--train.batch", 2, "--train.unlabelled", 2)
    status, text, errors = dearli("train", file, "--run", one, *SMALL, *sizes)
    assert status == 0 and text.splitlines()[-1:] == [str(one)], errors
    status, text, errors = dearli("train", file, "--run", two, *SMALL, *sizes, launcher=TORCHRUN)
    assert status == 0 and text.splitlines()[-1:] == [str(two)], errors
    for name in ("student", "teacher"):
        a, b = (load_file(run / f"{name}.safetensors") for run in (one, two))
        assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-6
    logs = [[json.loads(line) for line in open(run / "log.jsonl")] for run in (one, two)]
    assert [line["step"] for line in logs[1]] == [1, 2, 3]
    for a, b in zip(*logs):
        assert abs(a["total"] - b["total"]) < 1e-4 * a["total"]
    scores = [dearli("eval", two, "--json", launcher=how)[1] for how in (["dearli.cli"], TORCHRUN)]
    alone, together = ({k: v for k, v in json.loads(s).items() if k != "train_seconds"} for s in scores)
    assert alone == together and alone["images"] == 2


def test_what_cannot_be_shared_is_refused_in_one_sentence(data):
    file, run = data / "d.toml", data / "none"
    sizes = ("--train.batch", 1, "--train.unlabelled", 1)
    for launcher, words in ((TORCHRUN, "train.batch is 1, which cannot be"), (ACCELERATE, "use `torchrun")):
        status, text, errors = dearli("train", file, "--run", run, *SMALL, *sizes, launcher=launcher)
        assert status and str(run) not in text
        assert [words in line for line in errors.splitlines() if line.startswith("dearli: ")] == [True], (
            errors
        )
        assert "dearli (process" not in errors
    assert not (run / "config.json").exists()
