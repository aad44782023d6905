"""Passes: verbs over a model, a file each."""

if __name__ != "onnxprune.passes":
    raise ImportError("the passes are imported as onnxprune.passes, not as passes")
