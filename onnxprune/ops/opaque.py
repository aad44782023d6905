"""Operators of which nothing is pruned, and why.

Along their axes an index means a place, a value or a random number, or what they do cannot be told
from the model. What they read and make is blocked, with the reason.
"""

from __future__ import annotations

from onnxprune.ops.operator import CONTRIB, Operator
from onnxprune.ops.site import Site

_BOXES = "boxes are picked by their values"
_CLASSES = "labels are numbers of classes"
_CONTAINER = "a sequence, an optional or a map may hold tensors of any shape"
_COUNTED = "values decide how many elements come out"
_COORDINATES = "an index is a coordinate"
_FEATURES = "its attributes refer to features by their numbers"
_FORMAT = "a model of its own, in a format of the provider"
_GPU = "its data have a layout made for one kind of GPU"
_HASHES = "hashes of tokens are numbers, and work on numbers alone"
_LEVELS = "an index is a place in a window or a spectrum"
_NEWER = "ONNX Runtime loads no model of its operator set"
_PACKED = "its weights are packed in one row"
_PLACES = "the elements are places in a whole tensor"
_PROCESSOR = "channels in blocks fit one processor: prune first, and optimize then"
_RANDOM = "a random number depends on how many are drawn before it"
_SEARCH = "it runs a model in its body, and looks at values as it goes"
_SELECTS = "it chooses places by values, in caches whose layout the engine owns"
_STATES = "it keeps states whose layout the provider owns"
_STRINGS = "how many strings come out depends on those that go in"
_TRAINING = "a training step is no inference"
_WIDTH = "its heads and its result are as wide as its input"

_STANDARD = {
    _BOXES: ("NonMaxSuppression",),
    _CLASSES: ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    _CONTAINER: (
        "ConcatFromSequence",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SequenceMap",
        "SplitToSequence",
    ),
    _COORDINATES: ("AffineGrid", "EyeLike"),
    _LEVELS: ("BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"),
    _NEWER: ("CausalConvWithState", "LinearAttention"),
    _PLACES: ("MaxUnpool", "NonZero", "Unique"),
    _RANDOM: (
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    ),
    _STRINGS: ("StringNormalizer", "StringSplit", "TfIdfVectorizer"),
    "it becomes an initializer when a model is loaded": ("Constant",),
    "it decodes a file": ("ImageDecoder",),
}
_CLASSICAL = {
    _CONTAINER: ("CastMap", "DictVectorizer", "ZipMap"),
    _FEATURES: (
        "FeatureVectorizer",
        "Imputer",
        "LinearClassifier",
        "LinearRegressor",
        "SVMClassifier",
        "SVMRegressor",
        "Scaler",
        "TreeEnsemble",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
    ),
    "an index is a category": ("OneHotEncoder",),
}
_CONTRIB = {
    _COUNTED: ("BifurcationDetector", "Tokenizer", "Unique", "WordConvEmbedding"),
    _FORMAT: ("EPContext", "Snpe"),
    _HASHES: ("NGramHashMapping", "VarlenNGramHashMapping"),
    _GPU: (
        "DequantizeBFP",
        "DequantizeWithOrder",
        "GemmFloat8",
        "MatMulBlockQuantizedFp4Weight",
        "MatMulBlockQuantizedFp8Weight",
        "MatMulNBitsMlp",
        "MatMulNBitsQkv",
        "QOrderedAttention",
        "QOrderedGelu",
        "QOrderedLayerNormalization",
        "QOrderedLongformerAttention",
        "QOrderedMatMul",
        "QuantizeBFP",
        "QuantizeWithOrder",
    ),
    _PACKED: ("MatMulBnb4", "MatMulFpQ4"),
    _SEARCH: ("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"),
    _SELECTS: (
        "DynamicSparseAttention",
        "PackedSparseAttentionIndexer",
        "SparseAttentionIndexer",
        "SparsePagedAttention",
    ),
    _STATES: ("GatedDeltaNet", "VarlenCausalConvWithState"),
    _WIDTH: ("DecoderAttention", "LongformerAttention"),
    "attention inside of a recurrence: what it attends to comes back as its input": ("AttnLSTM",),
    "it finds a path: indices become values": ("DynamicTimeWarping",),
    "it multiplies by a sparse tensor, which has no axes to slice": ("SparseToDenseMatMul",),
    "it reads its mask at places that depend on how many channels there are": ("MaxpoolWithMask",),
    "its table lies column by column, whatever its shape says": ("RelativePositionBias",),
}
_BLOCKED = {
    _PROCESSOR: (
        "AveragePool",
        "Conv",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "MaxPool",
        "ReorderInput",
        "ReorderOutput",
        "Upsample",
    )
}
_PREVIEW = {_NEWER: ("FlexAttention",)}
_STEPS = {_TRAINING: ("Adagrad", "Adam", "Gradient", "Momentum")}

OPAQUE: dict[tuple[str, str], str] = {
    (domain, name): reason
    for domain, families in (
        ("", _STANDARD),
        ("ai.onnx.ml", _CLASSICAL),
        (CONTRIB, _CONTRIB),
        ("com.microsoft.nchwc", _BLOCKED),
        ("ai.onnx.preview", _PREVIEW),
        ("ai.onnx.preview.training", _STEPS),
    )
    for reason, names in families.items()
    for name in names
}
"""Why nothing is pruned that an operator touches, by its domain and type."""


def _opaque(domain: str, name: str, reason: str) -> Operator:
    def relate(site: Site) -> None:
        site.block_all(f"{name}: {reason}")

    return Operator(name, relate, domain=domain, opaque=True)


OPERATORS = tuple(_opaque(*operator, reason) for operator, reason in OPAQUE.items())
