"""Records to render: a small one with every part, and names that want to be markup."""

from copy import deepcopy
from typing import Any

HOSTILE = "</script></style><img src=x onerror=alert(1)>\"'&<b>\u202e"
"""A name that would break out of text, of attributes, of scripts and of styles."""

_INPUTS = {
    "original": {"path": "models/in.onnx", "sha256": "ab" * 32},
    "pruned": {"path": "models/out.onnx", "sha256": "cd" * 32},
}
PROVENANCE: dict[str, Any] = {
    "inputs": _INPUTS,
    "versions": {"onnxprune": "0.1.0", "onnx": None},
    "machine": {"cpu": "a processor"},
    "settings": {"seed": 0, "providers": ["cpu"], "layers": {"a": 1}},
}
SPEEDUP: dict[str, Any] = {
    "ratio": 1.5,
    "low": 1.4,
    "high": 1.6,
    "verdict": "faster",
    "noise": [0.98, 1.02],
    "pairs": 20,
    "provider": "cpu",
    "threads": 1,
    "ratios": [1.4, 1.5, 1.5, 1.6, 40.0],
}
PROOF: dict[str, Any] = {
    "passed": True,
    "verdict": "passed",
    "max_abs": 1e-6,
    "max_rel": 1e-6,
    "tolerance": 1e-3,
    "compared": 7,
    "reacting": 6,
    "worst": "t",
    "why": "",
}


def layer(node: str, weight: str, before: int, after: int | None) -> dict[str, Any]:
    """A layer of a record, its MACs a hundred times its width."""

    def side(outputs: int) -> dict[str, Any]:
        return {
            "inputs": 3,
            "outputs": outputs,
            "macs": 100 * outputs,
            "parameters": 10 * outputs,
            "latency_us": None,
        }

    return {
        "node": node,
        "op_type": "Conv",
        "weight": weight,
        "before": side(before),
        "after": None if after is None else side(after),
    }


def group(
    number: int, name: str, size: int, kept: int, following: list[int], blocked: str | None = None
) -> dict[str, Any]:
    """A group of a record, with one weight and one node that are called after it."""
    return {
        "id": number,
        "name": f"channel of {name}",
        "kind": "blocked" if blocked else "channel",
        "size": size,
        "kept": kept,
        "over": None,
        "parameters": 100,
        "macs": 1000,
        "members": [{"weight": f"{name}.weight", "axis": 0}],
        "nodes": [f"/{name}/Conv"],
        "next": following,
        "blocked": blocked,
    }


def _closeness(name: str) -> dict[str, Any]:
    """What a record holds of outputs and metrics."""
    return {
        "measured_on": {"source": name, "samples": 8, "dropped": 0, "warning": name},
        "fidelity": {
            name: {
                "cosine": 0.99,
                "sqnr_db": None,
                "max_abs": 0.1,
                "top1": 0.9,
                "non_finite": 2,
                "reacts": False,
                "histogram": {"edges": [-8, -3, 2], "counts": [5, 15]},
            }
        },
        "metrics": {
            "top1": {
                "original": 0.9,
                "pruned": 0.8,
                "difference": -0.1,
                "samples": 8,
                "points": {"difference": -10.0, "low": -12.0, "high": -8.0, "confidence": 0.95},
            },
            name: {"original": None, "pruned": 0.5, "difference": None, "points": None},
        },
    }


def whole_record(name: str = "stem") -> dict[str, Any]:
    """A run of which everything is known; `name` is that of a layer, a group, an output."""
    return {
        "schema": 1,
        "status": "pruned",
        "command": ["onnxprune", "in put.onnx", name],
        "original": {"parameters": 1000, "macs": 9000, "size_bytes": 4000, "latency_ms": 2.0},
        "pruned": {"parameters": 400, "macs": 5000, "size_bytes": 2000, "latency_ms": 1.0},
        "groups": {"total": 3, "pruned": 2},
        "blocks": [name],
        "prunable": {"parameters": 0.9, "macs": 1.0},
        "blocked": [{"reason": f"output {name}", "node": name, "parameters": 0.25}],
        "passes": [{"name": "remove-channels", "did": [name], "seconds": 0.5}],
        "seconds": {"load": 0.1},
        "layers": [
            layer(f"/{name}/Conv", f"{name}.weight", 64, 48),
            layer("/gone/Conv", "gone.weight", 32, None),
        ],
        "groups_list": [
            group(0, name, 64, 48, [1, 2]),
            group(1, "body", 64, 32, [0]),
            group(2, "head", 10, 10, [], f"output {name}"),
        ],
        "macs_at": {"x": [1, 3]},
        "unknown": {name: [name]},
        "io": [{"name": name, "axis": 1, "kept": [0, 2]}],
        "repair": {"layers": 2, "samples": 8, "deviation": {"before": 0.5, "after": None}},
        "equivalence": PROOF,
        **_closeness(name),
        "budget": [
            {
                "quantity": "macs",
                "limit": 0.5,
                "curve": [{"left": 1.0, "loss": 0.0}, {"left": 0.5, "loss": 3.0}],
            }
        ],
        "speedup": deepcopy(SPEEDUP),
        "notes": [name],
        "provenance": PROVENANCE,
    }
