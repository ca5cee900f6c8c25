"""Median times of the hot paths on the tiny preset; one JSON document with `--json`.

make bench
python tools/bench.py --json > before.json
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch

from dearli.augment import ViewConfig, unlabelled_views
from dearli.clip import load_backbone, build_text_classifier
from dearli.criterion import Criterion
from dearli.io import seeded
from dearli.metrics import PanopticQuality
from dearli.model import Segmenter, SegmenterConfig
from dearli.recognition import zero_shot
from dearli.world.scenes import SHAPES, scene

BATCH = 8


def median(task: Callable[[], object], runs: int = 7) -> float:
    """Milliseconds of one call, after one that does not count."""
    task()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        task()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def padded_targets(scenes: list, size: tuple[int, int]) -> list:
    """Classes and masks of each scene in the frame of the batch."""
    pad = lambda masks: torch.nn.functional.pad(
        masks, (0, size[1] - masks.shape[-1], 0, size[0] - masks.shape[-2])
    )
    return [(classes, pad(masks)) for classes, masks in (s.panoptic.targets() for s in scenes)]


def tasks() -> Iterator[tuple[str, Callable[[], object]]]:
    """What is timed, with its name."""
    scenes = [scene(("bench", i)) for i in range(BATCH)]
    images = [s.image for s in scenes]
    backbone = load_backbone("shapes-conv")
    rows = build_text_classifier(backbone, SHAPES.vocabulary)
    model = Segmenter(backbone, SHAPES, rows, SegmenterConfig.tiny())
    prepared, _ = model.prepare(images)
    features = model.features(prepared)
    targets, criterion = padded_targets(scenes, prepared.shape[-2:]), Criterion()
    prediction = model.train().decode(features)

    def step() -> None:
        criterion(model.decode(features), targets)["total"].backward()
        model.decoder.zero_grad()

    yield "draw one scene", lambda: scene(("bench", 0))
    yield (
        "weak and strong view of one image",
        lambda: unlabelled_views(images[0], ViewConfig.tiny(), seeded("bench")),
    )
    yield f"backbone, {BATCH} images", lambda: model.features(prepared)
    yield f"decoder, {BATCH} images", lambda: model.decode(features, aux=False)
    yield f"losses with matching, {BATCH} images", lambda: criterion(prediction, targets)
    yield f"decoder and losses, forward and backward, {BATCH} images", step
    yield (
        f"zero-shot posterior, {BATCH} images",
        lambda: zero_shot(backbone, features.dense, prediction.mask_logits.detach(), rows),
    )
    yield f"predict with the ensemble, {BATCH} images", lambda: model.eval().predict(images, alpha=0.4)
    yield (
        "panoptic quality, one image",
        lambda: PanopticQuality(SHAPES).update(scenes[0].panoptic, scenes[0].panoptic),
    )


def main() -> None:
    """Time everything and print a table, or JSON."""
    times = {}
    for name, task in tasks():
        times[name] = round(median(task), 3)
        if "--json" not in sys.argv:
            print(f"{times[name]:10.2f} ms  {name}", flush=True)
    about = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "cores": torch.multiprocessing.cpu_count(),
    }
    print(
        json.dumps({"milliseconds": times, **about}, indent=1)
        if "--json" in sys.argv
        else f"medians; {about}"
    )


if __name__ == "__main__":
    main()
