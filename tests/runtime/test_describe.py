"""Reports can say what a measurement was made on."""

from pathlib import Path

from onnxprune.runtime import available_providers, build_info
from onnxprune.runtime.describe import cpu_name


def test_the_build_is_described_by_versions_and_processor() -> None:
    info = build_info()
    assert set(info) == {"onnxruntime", "providers", "cpu", "platform"}
    assert all(info.values())
    assert info["providers"] == ",".join(available_providers())


def test_the_processor_is_read_from_cpuinfo(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz: fast\n", encoding="utf-8")
    assert cpu_name(path) == "Some CPU @ 3 GHz: fast"


def test_the_processor_has_a_name_without_cpuinfo(tmp_path: Path) -> None:
    (tmp_path / "arm").write_text("processor\t: 0\n", encoding="utf-8")
    assert cpu_name(tmp_path / "missing")
    assert cpu_name(tmp_path / "arm") == cpu_name(tmp_path / "missing")
