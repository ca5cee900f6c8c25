"""Mask generation with models of the transformers library: tiny random ones, built from their configurations."""

import pytest
import torch

from dearli.data.masks import open_masks
from dearli.images import Example
from dearli.io import DearliError
from dearli.mask_files import AgnosticDataset, label_images
from dearli.sam import SamConfig

transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed: pip install dearli[sam]"
)
SIDE = 64


class OneImage:
    """A dataset of one coloured picture that is not square."""

    name, names = "one", ["a.png"]

    def __len__(self):
        return 1

    def __getitem__(self, i):
        pixels = torch.arange(3 * 4 * 6).reshape(3, 4, 6) * 7 % 256
        return Example(pixels.byte().repeat_interleave(12, 1).repeat_interleave(10, 2), None, "a.png")


def first_generation(kind, model):
    """Build a SAM or SAM-HQ: encoder, prompts and decoder of 16 channels."""
    part = {
        k: getattr(transformers, f"{kind}{k}Config") for k in ("", "Vision", "PromptEncoder", "MaskDecoder")
    }
    more = {"vit_dim": 16} if kind == "SamHQ" else {}
    config = part[""](
        vision_config=part["Vision"](
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=SIDE, output_channels=16,
            window_size=2, global_attn_indexes=[0], mlp_dim=32, num_pos_feats=8,
        ),
        prompt_encoder_config=part["PromptEncoder"](
            hidden_size=16, image_size=SIDE, mask_input_channels=8, image_embedding_size=SIDE // 16
        ),
        mask_decoder_config=part["MaskDecoder"](
            hidden_size=16, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16, **more
        ),
    )  # fmt: skip
    square = {"height": SIDE, "width": SIDE}
    return model(config), transformers.SamImageProcessor(size={"longest_edge": SIDE}, pad_size=square)


def second_generation():
    """Build a SAM 2 with a Hiera backbone of four small stages."""
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=12, image_size=[128, 128], blocks_per_stage=[1, 2, 7, 2], embed_dim_per_stage=[12, 24, 48, 96],
        num_attention_heads_per_stage=[1, 2, 4, 8], window_size_per_stage=[8, 4, 14, 7], global_attention_blocks=[5, 7, 9],
    )  # fmt: skip
    config = transformers.Sam2Config(
        vision_config=transformers.Sam2VisionConfig(
            backbone_config=backbone, backbone_channel_list=[96, 48, 24, 12], fpn_hidden_size=32,
            backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        ),
        prompt_encoder_config=transformers.Sam2PromptEncoderConfig(hidden_size=32, image_size=128, patch_size=16),
        mask_decoder_config=transformers.Sam2MaskDecoderConfig(
            hidden_size=32, mlp_dim=32, num_hidden_layers=1, num_attention_heads=4, iou_head_hidden_dim=32
        ),
    )  # fmt: skip
    processor = transformers.Sam2ImageProcessor(size={"height": 128, "width": 128})
    return transformers.Sam2Model(config), processor


BUILDERS = {
    "sam": lambda: first_generation("Sam", transformers.SamModel),
    "sam-hq": lambda: first_generation("SamHQ", transformers.SamHQModel),
    "sam2": second_generation,
}


@pytest.mark.parametrize("kind", BUILDERS)
def test_masks_of_a_model(kind, tmp_path):
    """A saved model makes masks of the image's size, which are stored and read back."""
    torch.manual_seed(0)
    model, processor = BUILDERS[kind]()
    model.save_pretrained(tmp_path / kind)
    processor.save_pretrained(tmp_path / kind)
    cfg = SamConfig(points_per_side=3, pred_iou_thresh=-9.0, stability_score_thresh=-1.0, points_per_batch=4)
    maker = open_masks(str(tmp_path / kind), cfg)
    assert maker.settings["sam"] == kind
    assert label_images(OneImage(), tmp_path / "masks", maker, progress=False) == 1
    masks = AgnosticDataset(OneImage(), tmp_path / "masks")[0].masks
    assert masks.shape[1:] == (48, 60)
    assert len(masks)


def test_no_model(tmp_path):
    """A folder that holds something else is refused in one sentence."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DearliError, match="is no model for mask generation"):
        open_masks(str(tmp_path))
