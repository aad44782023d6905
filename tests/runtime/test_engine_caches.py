"""TensorRT's engines are kept by model: no two models share a folder."""

from pathlib import Path

import pytest

from onnxprune.runtime import Provider, parse_provider
from onnxprune.runtime.engine_caches import made, with_engine_caches

FOLDER = Path("/caches")
FIRST, SECOND = "a" * 64, "b" * 64
TENSORRT = parse_provider("tensorrt")


def path_for(provider: Provider, model: str = FIRST, version: str = "1.31.1") -> str:
    cached = with_engine_caches(provider, model, version, FOLDER)
    return cached.options["trt_engine_cache_path"]


def test_the_caches_are_on_and_below_the_folder() -> None:
    assert with_engine_caches(TENSORRT, FIRST, "1.31.1", FOLDER).options == {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": f"/caches/tensorrt/{'a' * 32}-1.31.1",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": "/caches/tensorrt/timing-1.31.1",
    }


def test_models_versions_and_options_have_folders_of_their_own() -> None:
    half = parse_provider("tensorrt:trt_fp16_enable=1")
    sparse = parse_provider("tensorrt:trt_sparsity_enable=1")
    paths = {
        path_for(TENSORRT),
        path_for(TENSORRT, SECOND),
        path_for(TENSORRT, version="1.32.0"),
        path_for(half),
        path_for(sparse),
    }
    assert len(paths) == 5


def test_the_order_of_options_does_not_matter() -> None:
    one = parse_provider("tensorrt:trt_fp16_enable=1,device_id=0")
    other = parse_provider("tensorrt:device_id=0,trt_fp16_enable=1")
    assert path_for(one) == path_for(other)


def test_what_the_user_set_stays() -> None:
    spec = "tensorrt:trt_engine_cache_enable=0,trt_timing_cache_path=/mine,trt_fp16_enable=1"
    options = with_engine_caches(parse_provider(spec), FIRST, "1.31.1", FOLDER).options
    assert options["trt_engine_cache_enable"] == "0"
    assert options["trt_timing_cache_path"] == "/mine"
    assert options["trt_fp16_enable"] == "1"


@pytest.mark.parametrize(
    ("provider", "model", "folder"),
    [
        (TENSORRT, FIRST, None),
        (TENSORRT, "", FOLDER),
        (parse_provider("cuda"), FIRST, FOLDER),
        (parse_provider("cpu"), FIRST, FOLDER),
    ],
    ids=["no caches wanted", "unknown model", "cuda", "cpu"],
)
def test_otherwise_nothing_is_added(provider: Provider, model: str, folder: Path | None) -> None:
    assert with_engine_caches(provider, model, "1.31.1", folder) is provider


def test_folders_are_made_but_not_those_of_the_user(tmp_path: Path) -> None:
    asked = parse_provider(f"tensorrt:trt_timing_cache_path={tmp_path / 'mine'}")
    cached = with_engine_caches(asked, FIRST, "1.31.1", tmp_path / "caches")
    assert made(cached, asked) is cached
    assert Path(cached.options["trt_engine_cache_path"]).is_dir()
    assert not (tmp_path / "mine").exists()


def test_folders_that_cannot_be_made_are_done_without(tmp_path: Path) -> None:
    blocking = tmp_path / "caches"
    blocking.write_text("a file")
    cached = with_engine_caches(TENSORRT, FIRST, "1.31.1", blocking)
    assert made(cached, TENSORRT) is TENSORRT
