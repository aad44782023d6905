"""What files of PyTorch's exporters have in common."""

from pathlib import Path

import onnx

TORCHSCRIPT_OPSET = 17
DYNAMO_OPSET = 20  # what PyTorch 2.13 takes unless told
_STACK_TRACE_KEY = "pkg.torch.onnx.stack_trace"
"""What the default exporter notes of the source of each node: absolute paths of this machine."""


def strip_stack_traces(path: Path) -> None:
    """Writes a file of the default exporter again, without the sources of its nodes."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key != _STACK_TRACE_KEY]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)
