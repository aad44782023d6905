"""Architectures of torchvision, timm, segmentation-models-pytorch and ultralytics, a row each."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from architecture import Architecture, Input, call
from torch import nn

CLASSES = 10
FACTOR = "TorchScript cannot export an adaptive pool whose output does not divide its input"


def _vision(name: str, side: int, **options: Any) -> Architecture:
    """A model of torchvision for images of `side` x `side` pixels."""
    build = partial(call, "torchvision.models", "get_model", name, num_classes=CLASSES, **options)
    return Architecture(f"tv_{name}", build, {"image": Input(("batch", 3, side, side))})


def _timm(name: str, side: int, **options: Any) -> Architecture:
    """A model of timm for images of `side` x `side` pixels; `options` change its sizes."""
    build = partial(call, "timm", "create_model", name, num_classes=CLASSES, **options)
    return Architecture(f"timm_{name}", build, {"image": Input(("batch", 3, side, side))})


def _video(name: str) -> Architecture:
    build = partial(call, "torchvision.models", "get_model", name, num_classes=CLASSES)
    return Architecture(f"tv_{name}", build, {"clip": Input(("batch", 3, 8, 64, 64))})


def _segmentation(name: str, encoder: str, **options: Any) -> Architecture:
    options |= {"encoder_weights": None, "classes": 3}
    build = partial(call, "segmentation_models_pytorch", name, encoder, **options)
    return Architecture(f"smp_{name.lower()}", build, {"image": Input(("batch", 3, 64, 64))})


def _yolo(name: str, kind: str = "DetectionModel") -> Architecture:
    """A model of ultralytics, as its own export prepares it: layers fused, boxes decoded."""

    def build() -> nn.Module:
        model: Any = call("ultralytics.nn.tasks", kind, f"{name}.yaml", verbose=False)
        model = model.fuse(verbose=False)
        head = model.model[-1]
        head.export, head.format = True, "onnx"
        return model

    return Architecture(
        f"ul_{name.replace('-', '_')}", build, {"images": Input((1, 3, 128, 128))}
    )
ROWS = (
    _yolo("yolo11n"), _yolo("yolo11n-pose", "PoseModel"), _yolo("yolo11n-obb", "OBBModel"),
    _yolo("yolov8n-seg", "SegmentationModel"), _yolo("yolov8n-ghost"), _yolo("yolov9t"), _yolo("yolov10n"), _yolo("yolov6n"), _yolo("yolo12n"), _yolo("yolo26n"), _yolo("rtdetr-l", "RTDETRDetectionModel"),
    _segmentation("PAN", "mobilenet_v2"), _segmentation("DeepLabV3Plus", "mobilenet_v2"),
    _vision("lraspp_mobilenet_v3_large", 64, weights_backbone=None),
    _vision("deeplabv3_mobilenet_v3_large", 64, weights_backbone=None),
    _video("s3d"), _video("r3d_18"), _video("mvit_v2_s"), _video("swin3d_t"),
    _vision("swin_v2_t", 64), _vision("raft_small", 128),
)
