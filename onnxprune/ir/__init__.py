"""Models as graphs: loading and saving, constants, shapes; the one door to onnx.

Only this package imports `onnx` and `onnx_graphsurgeon`; the others work on what it offers.
"""
