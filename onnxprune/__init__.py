"""onnxprune: a graph-level pruning compiler for ONNX."""
