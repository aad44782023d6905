"""Architectures of transformers and diffusers, a row each, narrow and shallow."""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, cast

from architectures.architecture import Architecture, InOrder, Input, call
from torch import Tensor, nn

WORDS = 257
LAYERS = 2
WIDTH: Mapping[str, Any] = {
    "hidden_size": 160,
    "intermediate_size": 240,
    "num_attention_heads": 10,
    "num_hidden_layers": LAYERS,
}
TEXT: Mapping[str, Any] = {**WIDTH, "vocab_size": WORDS, "max_position_embeddings": 64}
CAUSAL = {**TEXT, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = {**CAUSAL, "num_attention_heads": 20, "num_key_value_heads": 10}
GPT: Mapping[str, Any] = {
    "n_embd": 160,
    "n_head": 10,
    "n_inner": 240,
    "n_layer": LAYERS,
    "n_positions": 64,
    "vocab_size": WORDS,
}
VISION = {**WIDTH, "image_size": 64, "patch_size": 16}
VIDEO = {**WIDTH, "image_size": 32, "patch_size": 8, "num_frames": 8}
CODER: Mapping[str, Any] = {
    "d_model": 160,
    "decoder_attention_heads": 10,
    "decoder_ffn_dim": 272,
    "decoder_layers": LAYERS,
    "encoder_attention_heads": 10,
    "encoder_ffn_dim": 240,
    "encoder_layers": LAYERS,
}
TRANSLATOR = {
    **CODER,
    "vocab_size": WORDS,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}

IDS = Input(("batch", "tokens"), range(3, WORDS))
FIXED_IDS = Input((2, 16), range(3, WORDS))
DECODED = Input(("batch", 9), range(3, WORDS))
TOKENS = {"input_ids": IDS, "attention_mask": Input(("batch", "tokens"), range(1, 2))}
FIXED = {"input_ids": FIXED_IDS, "attention_mask": Input((2, 16), range(1, 2))}
PAIR = {**TOKENS, "decoder_input_ids": DECODED}
IMAGE = {"pixel_values": Input(("batch", 3, 64, 64))}
FIXED_IMAGE = {"pixel_values": Input((1, 3, 64, 64))}
FRAMES = {"pixel_values": Input(("batch", 8, 3, 32, 32))}
AUDIO = {"input_values": Input(("batch", 4000))}
STEP = Input(("batch",), range(1000))


class Cached(InOrder):
    """A decoder with keys and values of earlier tokens as inputs, and those of all as outputs."""

    def __init__(self, decoder: nn.Module) -> None:
        """Wraps a causal language model."""
        super().__init__()
        self.decoder = decoder

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Maps tokens, then key and value of each layer, to logits, then key and value of each."""
        input_ids, *past = tensors
        pairs = list(zip(past[::2], past[1::2], strict=True))
        cache = import_module("transformers").DynamicCache(pairs)
        made = self.decoder(input_ids=input_ids, past_key_values=cache, use_cache=True)
        layers = made.past_key_values.layers
        return (made.logits, *(part for layer in layers for part in (layer.keys, layer.values)))


def _build(kind: str, options: Mapping[str, Any]) -> nn.Module:
    """Makes a model of transformers whose attention is written out in single operators."""
    model = getattr(import_module("transformers"), kind)
    config = model.config_class(**options, attn_implementation="eager")
    config.use_cache = False
    return cast(nn.Module, model(config))


def _model(
    name: str,
    kind: str,
    inputs: Mapping[str, Input],
    outputs: str,
    without: Mapping[str, str] | None = None,
    **options: Any,
) -> Architecture:
    """A model of transformers; `kind` is its class, `options` are its configuration's."""
    build = partial(_build, kind, options)
    return Architecture(f"hf_{name}", build, inputs, tuple(outputs.split()), without or {})


def _cached(name: str, kind: str, heads: int, features: int, **options: Any) -> Architecture:
    """A causal model of transformers with its cache as inputs and outputs."""
    past = Input(("batch", heads, "past", features))
    inputs = {
        "input_ids": IDS,
        **{f"past_{part}_{i}": past for i in range(LAYERS) for part in ("key", "value")},
    }
    return Architecture(f"hf_{name}_cached", lambda: Cached(_build(kind, options)), inputs)


def _diffuser(name: str, kind: str, inputs: Mapping[str, Input], **options: Any) -> Architecture:
    """A model of diffusers."""
    build = partial(call, "diffusers", kind, **options)
    return Architecture(f"diffusers_{name}", build, inputs, ("sample",))


ENCODERS = (
    _model(
        "distilbert",
        "DistilBertForSequenceClassification",
        TOKENS,
        "logits",
        dim=160,
        hidden_dim=240,
        n_heads=10,
        n_layers=LAYERS,
        vocab_size=WORDS,
    ),
    _model("electra", "ElectraForTokenClassification", TOKENS, "logits", **TEXT, embedding_size=96),
    _model(
        "deberta_v2",
        "DebertaV2ForSequenceClassification",
        TOKENS,
        "logits",
        **TEXT,
        norm_rel_ebd="layer_norm",
        pos_att_type=["p2c", "c2p"],
        position_buckets=16,
        relative_attention=True,
        share_att_key=True,
    ),
    _model("mpnet", "MPNetForSequenceClassification", TOKENS, "logits", **TEXT),
    _model(
        "mobilebert",
        "MobileBertForSequenceClassification",
        TOKENS,
        "logits",
        **TEXT,
        embedding_size=96,
        intra_bottleneck_size=80,
        true_hidden_size=80,
    ),
    _model(
        "squeezebert",
        "SqueezeBertForSequenceClassification",
        TOKENS,
        "logits",
        **TEXT,
        embedding_size=160,
        q_groups=2,
        k_groups=2,
        v_groups=2,
        intermediate_groups=2,
        output_groups=2,
    ),
    _model(
        "convbert", "ConvBertForSequenceClassification", TOKENS, "logits", **TEXT, embedding_size=96
    ),
    _model(
        "roformer", "RoFormerForSequenceClassification", TOKENS, "logits", **TEXT, embedding_size=96
    ),
    _model(
        "modernbert",
        "ModernBertForSequenceClassification",
        TOKENS,
        "logits",
        **CAUSAL,
        cls_token_id=1,
        sep_token_id=2,
    ),
    _model(
        "funnel",
        "FunnelForSequenceClassification",
        FIXED,
        "logits",
        vocab_size=WORDS,
        block_sizes=[1, 1],
        d_model=160,
        n_head=10,
        d_head=16,
        d_inner=240,
    ),
    _model(
        "xlnet",
        "XLNetForSequenceClassification",
        FIXED,
        "logits",
        {"dyn": "cannot decompose a constant minus a tensor"},
        vocab_size=WORDS,
        d_model=160,
        n_layer=LAYERS,
        n_head=10,
        d_inner=240,
    ),
    _model(
        "layoutlm",
        "LayoutLMForTokenClassification",
        {**TOKENS, "bbox": Input(("batch", "tokens", 4), range(7, 8))},
        "logits",
        **TEXT,
        max_2d_position_embeddings=32,
    ),
    _model(
        "lxmert",
        "LxmertForQuestionAnswering",
        {**TOKENS, "visual_feats": Input(("batch", 7, 40)), "visual_pos": Input(("batch", 7, 4))},
        "question_answering_score",
        **TEXT,
        l_layers=1,
        x_layers=1,
        r_layers=1,
        visual_feat_dim=40,
        num_qa_labels=9,
    ),
    _model(
        "clip_text",
        "CLIPTextModelWithProjection",
        TOKENS,
        "text_embeds",
        **CAUSAL,
        projection_dim=48,
    ),
    _model(
        "perceiver",
        "PerceiverForSequenceClassification",
        {"inputs": IDS, "attention_mask": TOKENS["attention_mask"]},
        "logits",
        num_latents=12,
        d_latents=160,
        d_model=96,
        num_blocks=1,
        num_self_attends_per_block=LAYERS,
        num_self_attention_heads=10,
        num_cross_attention_heads=8,
        vocab_size=WORDS,
        max_position_embeddings=64,
    ),
)
DECODERS = (
    _model("mistral", "MistralForCausalLM", TOKENS, "logits", **GROUPED, sliding_window=8),
    _model("qwen2", "Qwen2ForCausalLM", TOKENS, "logits", **GROUPED),
    _model("qwen3", "Qwen3ForCausalLM", TOKENS, "logits", **GROUPED, head_dim=12),
    _model(
        "gemma",
        "GemmaForCausalLM",
        TOKENS,
        "logits",
        **{**GROUPED, "num_key_value_heads": 1},
        head_dim=12,
    ),
    _model(
        "gemma2", "Gemma2ForCausalLM", TOKENS, "logits", **GROUPED, head_dim=12, sliding_window=8
    ),
    _model("phi", "PhiForCausalLM", TOKENS, "logits", **CAUSAL),
    _model("phi3", "Phi3ForCausalLM", TOKENS, "logits", **GROUPED),
    _model("falcon", "FalconForCausalLM", TOKENS, "logits", **CAUSAL),
    _model(
        "bloom",
        "BloomForCausalLM",
        TOKENS,
        "logits",
        vocab_size=WORDS,
        hidden_size=160,
        n_layer=LAYERS,
        n_head=10,
    ),
    _model(
        "mpt",
        "MptForCausalLM",
        TOKENS,
        "logits",
        vocab_size=WORDS,
        d_model=160,
        n_layers=LAYERS,
        n_heads=10,
        max_seq_len=64,
    ),
    _model("gpt_neox", "GPTNeoXForCausalLM", TOKENS, "logits", **CAUSAL),
    _model("gptj", "GPTJForCausalLM", TOKENS, "logits", **GPT, rotary_dim=8),
    _model("gpt_bigcode", "GPTBigCodeForCausalLM", TOKENS, "logits", **GPT),
    _model(
        "opt", "OPTForCausalLM", TOKENS, "logits", **CAUSAL, ffn_dim=240, word_embed_proj_dim=96
    ),
    _model("olmo2", "Olmo2ForCausalLM", TOKENS, "logits", **GROUPED),
    _model(
        "cohere",
        "CohereForCausalLM",
        TOKENS,
        "logits",
        {"ts": "writes a reshape to another number of heads"},
        **GROUPED,
    ),
    _model("stablelm", "StableLmForCausalLM", TOKENS, "logits", **GROUPED),
    _model(
        "deepseek_v3",
        "DeepseekV3ForCausalLM",
        TOKENS,
        "logits",
        **{**GROUPED, "num_key_value_heads": 20},
        first_k_dense_replace=LAYERS,
        kv_lora_rank=48,
        q_lora_rank=64,
        qk_rope_head_dim=8,
        qk_nope_head_dim=12,
        v_head_dim=10,
    ),
    _model("mamba", "MambaForCausalLM", {"input_ids": FIXED_IDS}, "logits", **CAUSAL, state_size=8),
    _model("rwkv", "RwkvForCausalLM", {"input_ids": FIXED_IDS}, "logits", **CAUSAL),
    _cached("qwen2", "Qwen2ForCausalLM", 10, 8, **GROUPED),
    _cached("gpt_neox", "GPTNeoXForCausalLM", 10, 16, **CAUSAL),
)
PAIRS = (
    _model("bart", "BartForConditionalGeneration", PAIR, "logits", **TRANSLATOR),
    _model("marian", "MarianMTModel", PAIR, "logits", **TRANSLATOR),
    _model(
        "whisper",
        "WhisperForConditionalGeneration",
        {"input_features": Input(("batch", 80, 64)), "decoder_input_ids": DECODED},
        "logits",
        {"ts": "does not know the operator diff"},
        **{**TRANSLATOR, "max_source_positions": 32, "max_target_positions": 32},
    ),
    _model(
        "speech2text",
        "Speech2TextForConditionalGeneration",
        {"input_features": Input(("batch", 64, 80)), "decoder_input_ids": DECODED},
        "logits",
        **TRANSLATOR,
        conv_channels=48,
        max_source_positions=64,
        max_target_positions=32,
    ),
)
IMAGES = (
    _model(
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
    _model(
        "clip_vision",
        "CLIPVisionModelWithProjection",
        IMAGE,
        "image_embeds",
        **VISION,
        projection_dim=48,
    ),
    _model("siglip", "SiglipForImageClassification", IMAGE, "logits", vision_config=VISION),
    _model(
        "dinov2", "Dinov2ForImageClassification", IMAGE, "logits", **VISION, use_swiglu_ffn=True
    ),
    _model("dinov3", "DINOv3ViTModel", IMAGE, "pooler_output", **VISION, num_register_tokens=4),
    _model(
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
    _model(
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
    _model(
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
    _model(
        "dpt",
        "DPTForDepthEstimation",
        IMAGE,
        "predicted_depth",
        **{**VISION, "num_hidden_layers": 4},
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[32, 48, 64, 80],
        fusion_hidden_size=48,
    ),
    _model(
        "glpn",
        "GLPNForDepthEstimation",
        IMAGE,
        "predicted_depth",
        hidden_sizes=[32, 64, 160, 160],
        depths=[1] * 4,
        num_attention_heads=[1, 2, 10, 10],
        decoder_hidden_size=48,
    ),
    _model("videomae", "VideoMAEForVideoClassification", FRAMES, "logits", **VIDEO),
    _model("timesformer", "TimesformerForVideoClassification", FRAMES, "logits", **VIDEO),
)
SOUNDS = (
    _model(
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
    _model(
        "wav2vec2_conformer",
        "Wav2Vec2ConformerForCTC",
        AUDIO,
        "logits",
        **TEXT,
        max_source_positions=24,
        conv_dim=[32] * 7,
        num_conv_pos_embedding_groups=10,
    ),
    _model(
        "wavlm",
        "WavLMForCTC",
        AUDIO,
        "logits",
        **TEXT,
        conv_dim=[32] * 7,
        num_buckets=32,
        num_conv_pos_embedding_groups=10,
    ),
    _model(
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
        partial(_build, "SpeechT5HifiGan", {"upsample_initial_channel": 64}),
        {"spectrogram": Input(("batch", 20, 80))},
    ),
    _model(
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
DIFFUSION = (
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
ROWS = (*ENCODERS, *DECODERS, *PAIRS, *IMAGES, *SOUNDS, *DIFFUSION)
