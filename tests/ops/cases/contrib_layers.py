"""ONNX Runtime's layers: fused activations, layouts."""

from functools import partial

from tests.ops import functions
from tests.ops.case import case, ints, whole

contrib = partial(case, domain="com.microsoft", opset=1)
CASES = (
    contrib(
        "FusedConv",
        (2, 12, 7, 9),
        (15, 4, 3, 2),
        (15,),
        (2, 15, 5, 8),
        group=3,
        activation="Relu",
        blocked="x0.23 x1.23 x3.23 y0.23",
    ),
    contrib("FusedConv", (2, 4, 7), (5, 4, 1), activation="Tanh"),
    contrib(
        "ConvTransposeWithDynamicPads",
        (2, 6, 7, 8),
        (6, 4, 3, 3),
        ints(1, 0, 0, 1),
        (12,),
        group=3,
        strides=[2, 2],
        blocked="x0.23 x1.23 y0.23",
    ),
    contrib(
        "CausalConvWithState", (2, 5, 7), (5, 1, 3), outputs="y0 y1", blocked="x0.2 x1.2 y0.2 y1.2"
    ),
    contrib(
        "CausalConvWithState",
        (2, 7, 5),
        (5, 1, 3),
        (5,),
        (2, 2, 5),
        outputs="y0 y1",
        channels_last=1,
        activation="silu",
        blocked="x0.1 x1.2 x3.1 y0.1 y1.1",
    ),
    contrib(
        "NhwcMaxPool",
        whole(2, 7, 8, 5, high=200, dtype="uint8"),
        kernel_shape=[3, 2],
        outputs="y0",
        blocked="x0.12 y0.12",
    ),
    contrib("FusedGemm", (3, 7), (7, 5), (5,), activation="Relu"),
    contrib(
        "FusedGemm",
        (7, 3),
        (5, 7),
        (3, 1),
        transA=1,
        transB=1,
        alpha=0.5,
        activation="LeakyRelu",
        activation_alpha=0.1,
    ),
    contrib("FusedMatMul", (2, 3, 5, 7), (7, 4), alpha=0.5),
    contrib("FusedMatMul", (5, 7), (4, 7), transB=1),
    contrib("FusedMatMul", (2, 3, 7, 5), (2, 3, 7, 4), transA=1),
    contrib("FusedMatMul", (2, 3, 5, 7), (2, 3, 4, 7), transB=1),
    contrib("FusedMatMul", (5, 2, 3, 7), (2, 3, 7, 4), transBatchA=1),
    contrib(
        "FusedMatMul", (7, 2, 3, 5), (4, 2, 3, 7), transBatchA=1, transA=1, transBatchB=1, transB=1
    ),
    contrib("FusedMatMul", (7,), (4, 7), transB=1),
    contrib("FusedMatMul", (2, 5, 7), (7,)),
    contrib("TransposeMatMul", (2, 3, 7, 5), (2, 3, 7, 4), transA=1, alpha=2.0),
    # No kernel on the CPU.
    contrib("GemmFastGelu", (2, 3, 7), (7, 5), (5,), means=functions.GEMM_FAST_GELU),
    contrib(
        "FusedMatMulActivation",
        (2, 5, 7),
        (4, 7),
        transB=1,
        activation="Relu",
        means=functions.MATMUL_RELU,
    ),
    contrib(
        "FusedMatMulActivation",
        (5, 7),
        (7, 4),
        activation="Softmax",
        activation_axis=-1,
        blocked="x0.0 x1.1 y0.01",
        means=functions.MATMUL_SOFTMAX,
    ),
    contrib(
        "NhwcConv",
        (2, 7, 9, 12),
        (15, 3, 2, 4),
        (15,),
        group=3,
        blocked="x0.12 x1.12 y0.12",
        means=functions.NHWC_CONV,
    ),
    contrib(
        "NhwcFusedConv",
        (2, 7, 9, 12),
        (15, 4, 3, 2),
        (15,),
        (2, 5, 8, 15),
        group=3,
        blocked="x0.12 x1.23 x3.12 y0.12",
        means=functions.NHWC_FUSED_CONV,
    ),
    contrib(
        "NhwcFusedConv",
        (2, 7, 9, 4),
        (5, 4, 1, 1),
        (5,),
        (2, 7, 9, 5),
        means=functions.NHWC_FUSED_CONV,
    ),
)
