"""SigLIP, PE-Core, EVA and MobileCLIP 2 train from end to end: small models of these architectures."""

import json
import logging
from dataclasses import replace

import open_clip
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from dearli.data.init import init_data
from dearli.io import load_tensors
from dearli.model import DecoderSizes
from dearli.panoptic import write_coco_panoptic
from dearli.project import ProjectConfig, train_project
from dearli.train import load_run
from dearli.world.scenes import SHAPES, ShapesScenes

SMALL = dict(img_size=64, embed_dim=32, depth=3, num_heads=2)
KINDS = {
    "map": ("vit_base_patch16_siglip_224", SMALL | dict(global_pool="map")),
    "pe": ("vit_pe_core_base_patch16_224", SMALL | dict(global_pool="map")),
    "eva": ("eva02_base_patch16_clip_224", SMALL | dict(global_pool="token")),
    "mobile": ("fastvit_mci3", dict(layers=(1,) * 5, embed_dims=(16, 16, 32, 32, 32))),
}
TEXT = dict(width=32, heads=2, layers=1, vocab_size=49408, context_length=24)


def register(room, name):
    """Register a small model of an architecture with timm and open_clip, and write random weights of it."""
    kind, options = KINDS[name]

    def make(pretrained=False, pretrained_cfg=None, pretrained_cfg_overlay=None, cache_dir=None, **given):
        return timm.create_model(kind, **(options | given))

    make.__name__, make.__module__ = f"trained_{name}", __name__
    timm.models.register_model(make)
    pool = options.get("global_pool", "avg")
    vision = dict(timm_model_name=make.__name__, timm_pool=pool, timm_proj=None, image_size=64)
    config = dict(embed_dim=32, vision_cfg=vision, text_cfg=TEXT, custom_text=True)
    (room / f"trained_{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(room / f"trained_{name}.json")
    logging.disable(logging.WARNING)  # of open_clip, about random weights
    torch.manual_seed(0)
    save_file(open_clip.create_model(f"trained_{name}").state_dict(), room / f"{name}.safetensors")
    logging.disable(logging.NOTSET)
    return f"open_clip:trained_{name}:{room / name}.safetensors"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Write eight labelled and eight unlabelled scenes."""
    home, items = tmp_path_factory.mktemp("data"), []
    for part, split in (("images", "train"), ("pool", "val")):
        (home / part).mkdir()
        for k, e in enumerate(ShapesScenes(range(8), split=split)):
            Image.fromarray(e.image.permute(1, 2, 0).numpy()).save(home / part / f"{k}.png")
            items += [(f"{k}.png", e.panoptic)] if part == "images" else []
    write_coco_panoptic(str(home / "labels"), items, SHAPES)
    init_data(home)
    return home / "dearli.toml"


@pytest.mark.parametrize("name", KINDS)
def test_trains(name, dataset, tmp_path):
    """Six steps with a teacher move every tensor of the decoder, also the pyramid that a plain ViT needs."""
    sizes = dict(levels=(16, 8), mask_stride=4, queries=10, layers=2, pixel_layers=1)
    settings = ProjectConfig.small(
        backbone=register(tmp_path, name), alpha=0.4, model=DecoderSizes.tiny(**sizes)
    )
    few = replace(settings.train, steps=6, burn_in=2, batch=2, unlabelled=2, checkpoint_every=6)
    run = train_project(dataset, tmp_path / "run", replace(settings, train=few), progress=False)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert "pseudo_class" in log[-1]
    student, teacher = (load_tensors(run / f"{n}.safetensors")[0] for n in ("student", "teacher"))
    necks = [k for k in student if k.startswith("neck")]
    assert bool(necks) == (name != "mobile")
    assert all(not torch.equal(student[k], teacher[k]) for k in necks)
    model, config = load_run(run)
    assert config.recipe in ("dear", "dearli") and model.classifier is not None
    scene = ShapesScenes(range(1), split="val")[0]
    assert model.predict([scene.image], alpha=0.4)[0].size == tuple(scene.image.shape[1:])
