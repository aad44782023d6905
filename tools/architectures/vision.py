"""Architectures of torchvision, timm, segmentation-models-pytorch and ultralytics, a row each."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from architectures.architecture import Architecture, Input, call, square_image
from torch import nn

CLASSES = 10
FOUR_AXES = {"dyn": "exports fused attention of tensors with four axes alone"}
MASKED = {"dyn": "cannot decompose fused attention with a mask at a dynamic batch"}
UNEVEN_POOL = {"ts": "cannot export an adaptive pool whose output size does not divide its input's"}


def _torchvision(name: str, sizes: tuple[int, ...], **options: Any) -> Architecture:
    """A model of torchvision, for images or videos of these sizes behind batch and colours."""
    build = partial(call, "torchvision.models", "get_model", name, num_classes=CLASSES, **options)
    return Architecture(f"tv_{name}", build, {"image": Input(("batch", 3, *sizes))})


def _timm(
    name: str, side: int, without: Mapping[str, str] | None = None, **options: Any
) -> Architecture:
    """A model of timm for images of `side` x `side` pixels; `options` change its sizes."""
    build = partial(call, "timm", "create_model", name, num_classes=CLASSES, **options)
    image = {"image": square_image(side)}
    return Architecture(f"timm_{name}", build, image, without=without or {})


def _segmentation(
    name: str, encoder: str, side: int, without: Mapping[str, str] | None = None, **options: Any
) -> Architecture:
    """A model of segmentation-models-pytorch."""
    options |= {"encoder_weights": None, "classes": 3}
    build = partial(call, "segmentation_models_pytorch", name, encoder, **options)
    image = {"image": square_image(side)}
    return Architecture(f"smp_{name.lower()}", build, image, without=without or {})


def _build_yolo(name: str, kind: str) -> nn.Module:
    """Makes a model of ultralytics as its own export does: layers fused, boxes decoded."""
    model: Any = call("ultralytics.nn.tasks", kind, f"{name}.yaml", verbose=False)
    model = model.fuse(verbose=False)
    head = model.model[-1]
    head.export, head.format = True, "onnx"
    return model


def _yolo(name: str, kind: str = "DetectionModel") -> Architecture:
    """A model of ultralytics; `kind` is its class."""
    image = Input((1, 3, 128, 128))
    build = partial(_build_yolo, name, kind)
    return Architecture(f"ul_{name.replace('-', '_')}", build, {"images": image})


TORCHVISION = (
    _torchvision("alexnet", (224, 224)),
    _torchvision("inception_v3", (128, 128)),
    _torchvision("lraspp_mobilenet_v3_large", (64, 64), weights_backbone=None),
    _torchvision("deeplabv3_mobilenet_v3_large", (64, 64), weights_backbone=None),
    _torchvision("mnasnet0_5", (64, 64)),
    _torchvision("regnet_y_400mf", (64, 64)),
    _torchvision("shufflenet_v2_x1_0", (64, 64)),
    _torchvision("swin_v2_t", (64, 64)),
    _torchvision("r2plus1d_18", (8, 32, 32)),
    _torchvision("swin3d_t", (4, 64, 64)),
)
TIMM = (
    _timm("beit_base_patch16_224", 64, MASKED, img_size=64, embed_dim=160, depth=3, num_heads=10),
    _timm("coat_lite_tiny", 64, img_size=64),
    _timm("coatnet_pico_rw_224", 224),
    _timm("convit_tiny", 224, depth=4),
    _timm("convnextv2_atto", 64),
    _timm("cs3sedarknet_xdw", 64),
    _timm("cspresnext50", 64),
    _timm(
        "davit_tiny",
        64,
        depths=(1, 1, 2, 1),
        embed_dims=(32, 64, 160, 160),
        num_heads=(2, 4, 10, 10),
    ),
    _timm("deit3_small_patch16_224", 64, img_size=64, embed_dim=160, depth=3, num_heads=10),
    _timm("deit_tiny_distilled_patch16_224", 64, img_size=64, embed_dim=160, depth=3, num_heads=10),
    _timm("densenetblur121d", 64),
    _timm("dla46_c", 64),
    _timm("edgenext_xx_small", 64),
    _timm("efficientformer_l1", 224),
    _timm("efficientformerv2_s0", 224),
    _timm("efficientnet_b0_g8_gn", 64),
    _timm("efficientvim_m1", 64),
    _timm("efficientvit_b0", 64),
    _timm("ese_vovnet19b_slim_dw", 64),
    _timm(
        "eva02_tiny_patch14_224",
        56,
        {"ts": "traces a Python condition of fused attention as a tensor"},
        img_size=56,
        embed_dim=160,
        depth=3,
        num_heads=10,
    ),
    _timm("fasternet_t0", 64),
    _timm("fastvit_t8", 64),
    _timm("flexivit_small", 64, img_size=64, embed_dim=160, depth=3, num_heads=10),
    _timm("focalnet_tiny_srf", 64),
    _timm("gcresnext26ts", 64),
    _timm("gcvit_xxtiny", 224),
    _timm("gernet_s", 64),
    _timm("ghostnetv2_100", 128),
    _timm("halonet26t", 256, {"ts": "cannot export Unfold at a dynamic batch"}),
    _timm("hgnetv2_b0", 64),
    _timm("hiera_tiny_224", 224, FOUR_AXES, embed_dim=32, stages=(1, 1, 2, 1)),
    _timm("inception_next_atto", 64),
    _timm("lambda_resnet26rpt_256", 256),
    _timm("levit_conv_128", 224),
    _timm("lowformer_b0", 64),
    _timm("mambaout_femto", 64),
    _timm("maxvit_rmlp_pico_rw_256", 256, MASKED),
    _timm("mixnet_s", 64),
    _timm("mobilenetv3_small_050", 64),
    _timm("mobilenetv4_conv_small", 64),
    _timm("mobilenetv4_hybrid_medium", 64),
    _timm("mobilevitv2_050", 64),
    _timm("mvitv2_tiny", 64, img_size=64),
    _timm("nest_tiny", 224, FOUR_AXES),
    _timm("nf_regnet_b0", 64),
    _timm("nf_seresnet26", 64),
    _timm("pit_ti_224", 224),
    _timm("poolformerv2_s12", 64),
    _timm("pvt_v2_b0", 64),
    _timm("regnetz_005", 64),
    _timm("repghostnet_050", 64),
    _timm("repvgg_a0", 64),
    _timm("repvit_m0_9", 64),
    _timm("resmlp_12_224", 224),
    _timm("resnest26d", 64),
    _timm("resnest50d_4s2x40d", 64),
    _timm("rexnet_100", 64),
    _timm(
        "samvit_base_patch16_224",
        224,
        FOUR_AXES,
        embed_dim=160,
        depth=3,
        num_heads=10,
        global_attn_indexes=(2,),
    ),
    _timm("sebotnet33ts_256", 256),
    _timm("selecsls42b", 64),
    _timm(
        "sequencer2d_s",
        64,
        layers=(1, 1, 1, 1),
        embed_dims=(48, 96, 96, 96),
        hidden_sizes=(12, 24, 24, 24),
    ),
    _timm("shvit_s1", 64),
    _timm("starnet_s050", 64),
    _timm("swiftformer_xs", 64),
    _timm("swinv2_cr_tiny_224", 224, depths=(1, 1, 2, 1)),
    _timm("tiny_vit_5m_224", 224),
    _timm("tnt_s_patch16_224", 224, embed_dim=160, inner_dim=24, depth=3, num_heads_outer=10),
    _timm("twins_pcpvt_small", 64, img_size=64, depths=(1, 1, 2, 1)),
    _timm("visformer_tiny", 224),
    _timm("vit_pwee_patch16_reg1_gap_256", 64, img_size=64, depth=3),
    _timm(
        "vit_relpos_small_patch16_224",
        64,
        MASKED,
        img_size=64,
        embed_dim=160,
        depth=3,
        num_heads=10,
    ),
    _timm("volo_d1_224", 224, {"ts": "does not know the operator col2im"}),
)
SEGMENTATION = (
    _segmentation("DeepLabV3Plus", "mobilenet_v2", 64),
    _segmentation("Linknet", "resnet18", 64),
    _segmentation("MAnet", "mobilenet_v2", 64),
    _segmentation("PAN", "mobilenet_v2", 128),
    _segmentation("PSPNet", "mobilenet_v2", 64, UNEVEN_POOL),
    _segmentation("Unet", "efficientnet-b0", 64, decoder_attention_type="scse"),
    _segmentation("UnetPlusPlus", "mobilenet_v2", 64),
    _segmentation("UPerNet", "mobilenet_v2", 64, UNEVEN_POOL),
)
ULTRALYTICS = (
    _yolo("rtdetr-l", "RTDETRDetectionModel"),
    _yolo("yolo11n"),
    _yolo("yolo11n-obb", "OBBModel"),
    _yolo("yolo11n-pose", "PoseModel"),
    _yolo("yolo12n"),
    _yolo("yolo26n"),
    _yolo("yolov10n"),
    _yolo("yolov6n"),
    _yolo("yolov8n-ghost"),
    _yolo("yolov8n-seg", "SegmentationModel"),
    _yolo("yolov9t"),
)
ROWS = (*TORCHVISION, *TIMM, *SEGMENTATION, *ULTRALYTICS)
