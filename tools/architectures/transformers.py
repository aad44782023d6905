"""How models of transformers are described: narrow and shallow, attention in single operators."""

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, cast

from architectures.architecture import Architecture, InOrder, Input
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


def build(kind: str, options: Mapping[str, Any]) -> nn.Module:
    """Makes a model of transformers whose attention is written out in single operators."""
    network = getattr(import_module("transformers"), kind)
    config = network.config_class(**options, attn_implementation="eager")
    config.use_cache = False
    return cast(nn.Module, network(config))


def model(
    name: str,
    kind: str,
    inputs: Mapping[str, Input],
    outputs: str,
    without: Mapping[str, str] | None = None,
    **options: Any,
) -> Architecture:
    """A model of transformers; `kind` is its class, `options` are its configuration's."""
    made = partial(build, kind, options)
    return Architecture(f"hf_{name}", made, inputs, tuple(outputs.split()), without or {})


def cached(name: str, kind: str, heads: int, features: int, **options: Any) -> Architecture:
    """A causal model of transformers with its cache as inputs and outputs."""
    past = Input(("batch", heads, "past", features))
    inputs = {
        "input_ids": IDS,
        **{f"past_{part}_{i}": past for i in range(LAYERS) for part in ("key", "value")},
    }
    return Architecture(f"hf_{name}_cached", lambda: Cached(build(kind, options)), inputs)
