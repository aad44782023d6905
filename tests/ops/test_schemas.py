"""Every operator that onnx defines has a signature, or a reason for having none."""

from __future__ import annotations

from collections import Counter

import onnx.defs
import pytest

from onnxprune.axes import DimSpace
from onnxprune.ops.opaque import OPAQUE
from onnxprune.ops.registry import all_operators, lookup
from onnxprune.ops.site import Site, Value
from tests.ops.table import README, written
from tests.versions import NEWEST_OPSET, NEWEST_RUNTIME, RUNTIME, has_opset

FIRST_RUN = 7
"""ONNX Runtime has no kernels for older operator sets."""
REFUSED = {("", "GroupNormalization", 18), ("", "Scan", 8)}
"""Deprecated, so that onnx's checker refuses it; and a Scan with a batch, which nobody writes."""
SCHEMAS = [
    (schema.domain, schema.name, schema.since_version)
    for schema in onnx.defs.get_all_schemas_with_history()
]


def test_every_version_of_every_operator_is_known() -> None:
    unknown = [
        schema
        for schema in SCHEMAS
        if lookup(*schema) is None
        and schema not in REFUSED
        and not (schema[0] == "" and _last_of(schema) < FIRST_RUN)
    ]
    assert not unknown


def _last_of(schema: tuple[str, str, int]) -> int:
    """The last version of the operator set that a definition holds for."""
    later = [since for *name, since in SCHEMAS if tuple(name) == schema[:2] and since > schema[2]]
    return min(later, default=onnx.defs.onnx_opset_version() + 1) - 1


@pytest.mark.parametrize(("domain", "name"), OPAQUE)
def test_what_is_opaque_blocks_with_its_reason(domain: str, name: str) -> None:
    operator = lookup(domain, name, onnx.defs.onnx_opset_version())
    assert operator is not None
    space = DimSpace()
    x, y = (Value(v, (3, 4), tuple(space.dim(size, v) for size in (3, 4))) for v in "xy")
    operator.relate(Site("node", name, 1, {}, (x, None), (y,), space))
    reasons = {dim.block.reason for value in (x, y) for dim in value.dims if dim.block}
    assert reasons == {f"{name}: {OPAQUE[domain, name]}"}
    assert not any(dim.is_free for value in (x, y) for dim in value.dims)


def test_no_operator_is_described_twice_or_opaque_as_well() -> None:
    versions = Counter((x.domain, x.name, x.since) for x in all_operators())
    assert [version for version, count in versions.items() if count > 1] == []
    names = Counter((x.domain, x.name) for x in all_operators())
    assert [name for name in OPAQUE if names[name] != 1] == []


@pytest.mark.skipif(
    RUNTIME < NEWEST_RUNTIME or not has_opset(NEWEST_OPSET), reason="it is of newer versions"
)
def test_the_table_of_operators_is_true() -> None:
    page = README.read_text()
    assert page == written(page), "write it anew: python -m tests.ops.table"
