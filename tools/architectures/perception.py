"""Transformers for images, videos, sounds and series, a row each."""

from functools import partial

from architectures.architecture import Architecture, Input
from architectures.transformers import CODER, LAYERS, TEXT, WIDTH, build, model

VISION = {**WIDTH, "image_size": 64, "patch_size": 16}
VIDEO = {**WIDTH, "image_size": 32, "patch_size": 8, "num_frames": 8}
IMAGE = {"pixel_values": Input(("batch", 3, 64, 64))}
FIXED_IMAGE = {"pixel_values": Input((1, 3, 64, 64))}
FRAMES = {"pixel_values": Input(("batch", 8, 3, 32, 32))}
AUDIO = {"input_values": Input(("batch", 4000))}

IMAGES = (
    model(
        "vit_mae",
        "ViTMAEForPreTraining",
        {**IMAGE, "noise": Input(("batch", 16))},
        "logits",
        **VISION,
        decoder_hidden_size=80,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=10,
        decoder_intermediate_size=112,
    ),
    model(
        "clip_vision",
        "CLIPVisionModelWithProjection",
        IMAGE,
        "image_embeds",
        **VISION,
        projection_dim=48,
    ),
    model("siglip", "SiglipForImageClassification", IMAGE, "logits", vision_config=VISION),
    model("dinov2", "Dinov2ForImageClassification", IMAGE, "logits", **VISION, use_swiglu_ffn=True),
    model("dinov3", "DINOv3ViTModel", IMAGE, "pooler_output", **VISION, num_register_tokens=4),
    model(
        "swin2sr",
        "Swin2SRForImageSuperResolution",
        {"pixel_values": Input((1, 3, 32, 32))},
        "reconstruction",
        image_size=32,
        embed_dim=120,
        depths=[2, 2],
        num_heads=[10, 10],
        window_size=8,
        upscale=2,
    ),
    model(
        "detr",
        "DetrForObjectDetection",
        {**FIXED_IMAGE, "pixel_mask": Input((1, 64, 64), range(1, 2))},
        "logits pred_boxes",
        **CODER,
        num_queries=7,
        use_timm_backbone=True,
        backbone="resnet18",
        use_pretrained_backbone=False,
    ),
    model(
        "rt_detr",
        "RTDetrForObjectDetection",
        FIXED_IMAGE,
        "logits pred_boxes",
        d_model=80,
        encoder_hidden_dim=80,
        decoder_ffn_dim=160,
        encoder_ffn_dim=160,
        num_queries=7,
        decoder_layers=LAYERS,
        decoder_in_channels=[80] * 3,
    ),
    model(
        "dpt",
        "DPTForDepthEstimation",
        IMAGE,
        "predicted_depth",
        **{**VISION, "num_hidden_layers": 4},
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[32, 48, 64, 80],
        fusion_hidden_size=48,
    ),
    model(
        "glpn",
        "GLPNForDepthEstimation",
        IMAGE,
        "predicted_depth",
        hidden_sizes=[32, 64, 160, 160],
        depths=[1] * 4,
        num_attention_heads=[1, 2, 10, 10],
        decoder_hidden_size=48,
    ),
    model("videomae", "VideoMAEForVideoClassification", FRAMES, "logits", **VIDEO),
    model("timesformer", "TimesformerForVideoClassification", FRAMES, "logits", **VIDEO),
)
SOUNDS = (
    model(
        "sew",
        "SEWForCTC",
        AUDIO,
        "logits",
        **TEXT,
        conv_dim=[32] * 7,
        conv_stride=[5] + [2] * 6,
        conv_kernel=[10, 3, 3, 3, 3, 2, 2],
        squeeze_factor=2,
        num_conv_pos_embedding_groups=10,
    ),
    model(
        "wav2vec2_conformer",
        "Wav2Vec2ConformerForCTC",
        AUDIO,
        "logits",
        **TEXT,
        max_source_positions=24,
        conv_dim=[32] * 7,
        num_conv_pos_embedding_groups=10,
    ),
    model(
        "wavlm",
        "WavLMForCTC",
        AUDIO,
        "logits",
        **TEXT,
        conv_dim=[32] * 7,
        num_buckets=32,
        num_conv_pos_embedding_groups=10,
    ),
    model(
        "encodec",
        "EncodecModel",
        {"input_values": Input((1, 1, 3200))},
        "audio_values",
        {"dyn": "cannot trace a condition on values"},
        num_filters=8,
        hidden_size=32,
        codebook_size=64,
    ),
    Architecture(
        "hf_hifigan",
        partial(build, "SpeechT5HifiGan", {"upsample_initial_channel": 64}),
        {"spectrogram": Input(("batch", 20, 80))},
    ),
    model(
        "patchtst",
        "PatchTSTForPrediction",
        {"past_values": Input(("batch", 64, 3))},
        "prediction_outputs",
        {"ts": "adds shapes that do not broadcast"},
        num_input_channels=3,
        context_length=64,
        patch_length=8,
        patch_stride=8,
        d_model=160,
        num_hidden_layers=LAYERS,
        num_attention_heads=10,
        ffn_dim=240,
        prediction_length=12,
    ),
)
ROWS = (*IMAGES, *SOUNDS)
