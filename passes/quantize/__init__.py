"""Quantization, at the end of a pipeline."""
