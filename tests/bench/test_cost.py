"""The cost of layers: measured in processes of their own, kept, gone on with, and fitted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sequary.bench import cost, page, point
from sequary.bench.cost import Sizes, exponent
from sequary.bench.layers import layer_of, layers, parts, world
from sequary.cli.main import main
from sequary.mixers.attention.shaped import CausalShapedAttention
from sequary.mixers.spectral.causal_fourier import CausalFourier

SMALL = ("--lengths", "8,16", "--systems", "gla,nat-neighborhood")


def test_a_system_is_measured_by_its_own_mixer() -> None:
    part = layer_of("fnetar")
    assert part is not None
    assert part.cls is CausalFourier  # and not the softmax attention of its other blocks
    assert all(layer.build(64) is not None for layer in layers(["gpt", "gla", "swin", "primer"]))


def test_products_are_counted_once() -> None:
    """Four maps, thrice both ways, and half of the T² scores: as products twice and four times, or fused twice and five times."""
    tokens, width = 512, 64
    found = point.measured("gpt", tokens, width, 1)["products"]
    assert found / (3 * 4 * tokens * width**2 + 3.5 * tokens**2 * width) == pytest.approx(1, rel=0.05)


def test_layers_are_of_the_asked_length_and_let_tokens_meet() -> None:
    linformer, shaped, axial = layers(["linformer", "shaped-transformer", "axial-attention"])
    for layer in (linformer, shaped, axial):
        mixer = layer.build(64, 600)
        x, ctx = world(mixer, 600, 64, 1)
        assert mixer(x, ctx).shape == (1, 600, 64)
    assert [*parts(shaped.part)][1].cls is CausalShapedAttention


def test_exponents_come_from_times_long_enough_to_tell() -> None:
    points = {t: {"tokens": t, "both_ms": 0.5 if t < 100 else 1e-4 * t**1.5} for t in (16, 64, 1024, 4096, 16384)}
    found = exponent(points, "both_ms")
    assert found is not None
    assert abs(found - 1.5) < 1e-9
    assert exponent({t: points[t] for t in (16, 64, 1024)}, "both_ms") is None


def test_a_layer_goes_to_no_length_that_takes_too_long() -> None:
    """Three runs of 5 s are; 2 s after 1.4 s at half the length are expected to become 2.9, then 4.1."""
    sizes, quick = Sizes(lengths=(64, 128, 256, 512), seconds=10), {"both_ms": 2000.0}
    assert list(cost.wanted({64: {"both_ms": 5000.0}}, sizes)) == []
    assert list(cost.wanted({64: {"both_ms": 1400.0}, 128: quick}, sizes)) == [256]
    assert list(cost.wanted({64: {"error": "no memory"}}, sizes)) == []


def test_bench_writes_what_it_measured_and_goes_on_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["sequary"])
    assert main(["bench", "mixers", *SMALL, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "gla 16:" in shown.err
    assert "| gla |" in shown.out
    found, rate = page.read(tmp_path)
    assert rate > 0
    assert found["gla"][16]["state_bytes"] == found["gla"][8]["state_bytes"]
    assert found["nat-neighborhood"][16]["products"] > 0
    assert (tmp_path / "cost.svg").read_text().startswith("<?xml")
    before = json.loads((tmp_path / "cost.json").read_text())
    assert main(["bench", "mixers", *SMALL, "--out", str(tmp_path)]) == 0
    assert "gla 16:" not in capsys.readouterr().err
    assert json.loads((tmp_path / "cost.json").read_text()) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("bench", "texts"), "bench texts: there is mixers"),
        (("bench", "mixers", "--lengths", "0"), "numbers above 0 are needed, such as --lengths 256,1024"),
        (("bench", "mixers", "--systems", "glu"), "glu"),
    ],
)
def test_bad_words(words: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, *(("--out", str(tmp_path)) if "mixers" in words else ())]) == 2
    assert told in capsys.readouterr().err
