"""Architectures of diffusers, a row each, narrow and shallow."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from architectures.architecture import Architecture, Input, call

LAYERS = 2
STEP = Input(("batch",), range(1000))


def _diffuser(name: str, kind: str, inputs: Mapping[str, Input], **options: Any) -> Architecture:
    """A model of diffusers."""
    build = partial(call, "diffusers", kind, **options)
    return Architecture(f"diffusers_{name}", build, inputs, ("sample",))


ROWS = (
    _diffuser(
        "autoencoder_kl",
        "AutoencoderKL",
        {"sample": Input(("batch", 3, 32, 32))},
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        sample_size=32,
    ),
    _diffuser(
        "dit",
        "DiTTransformer2DModel",
        {
            "hidden_states": Input(("batch", 4, 16, 16)),
            "timestep": STEP,
            "class_labels": Input(("batch",), range(10)),
        },
        num_attention_heads=10,
        attention_head_dim=16,
        num_layers=LAYERS,
        sample_size=16,
        num_embeds_ada_norm=10,
        out_channels=8,
    ),
    _diffuser(
        "unet2d_condition",
        "UNet2DConditionModel",
        {
            "sample": Input(("batch", 4, 16, 16)),
            "timestep": STEP,
            "encoder_hidden_states": Input(("batch", 9, 40)),
        },
        block_out_channels=(80, 160),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=10,
        cross_attention_dim=40,
        sample_size=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ),
    _diffuser(
        "sd3",
        "SD3Transformer2DModel",
        {
            "hidden_states": Input(("batch", 4, 16, 16)),
            "encoder_hidden_states": Input(("batch", 9, 40)),
            "pooled_projections": Input(("batch", 56)),
            "timestep": STEP,
        },
        sample_size=16,
        in_channels=4,
        num_layers=LAYERS,
        attention_head_dim=16,
        num_attention_heads=10,
        joint_attention_dim=40,
        caption_projection_dim=160,
        pooled_projection_dim=56,
        out_channels=4,
        pos_embed_max_size=16,
    ),
)
