"""Swin against transformers' SwinModel, with its weights copied over."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sequary.convert.declined import Declined
from sequary.convert.swin import load, replay

transformers = pytest.importorskip("transformers", reason="the oracle is in the development lock")

SETTINGS = {
    "image_size": 32,
    "patch_size": 2,
    "num_channels": 3,
    "embed_dim": 12,
    "depths": [2, 3],
    "num_heads": [2, 3],
    "window_size": 4,
    "mlp_ratio": 2.0,
}


def oracle(**changes: Any) -> Any:
    torch.manual_seed(0)
    model = transformers.SwinModel(transformers.SwinConfig(**{**SETTINGS, **changes})).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(std=0.3)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_absolute_embeddings": True, "qkv_bias": False},
        {"image_size": 24, "window_size": 3, "depths": [2, 2, 2], "num_heads": [1, 2, 4]},
        {"image_size": [16, 32], "depths": [1, 4], "mlp_ratio": 1.3, "num_channels": 1},
        {"image_size": 20, "window_size": 5, "depths": [3], "num_heads": [4], "layer_norm_eps": 1e-3},
    ],
)
def test_hidden_states(changes: dict[str, Any]) -> None:
    theirs = oracle(**changes)
    side = changes.get("image_size", 32)
    sides = side if isinstance(side, list) else [side, side]
    image = torch.randn(2, changes.get("num_channels", 3), *sides, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = theirs(image, output_hidden_states=True)
        config = theirs.config.to_dict()
        got = replay(load("SwinModel", config, theirs.state_dict()), {"img": image}, config)
    for number, state in enumerate(wanted.hidden_states):
        ours = got["embed" if number == 0 else f"stage{number - 1}"]
        assert (ours - state).abs().max() <= 1e-5 * max(1.0, float(state.abs().max())), f"hidden state {number}"
    assert (got["features"] - wanted.pooler_output).abs().max() <= 1e-5
    assert torch.equal(got["logits"], got["features"])


def test_windows_that_do_not_fit_are_declined() -> None:
    theirs = oracle(image_size=28)
    with pytest.raises(Declined, match="window_size=4: does not divide the grid"):
        load("SwinModel", theirs.config.to_dict(), theirs.state_dict())


def test_images_that_transformers_fills_up_are_declined() -> None:
    theirs = oracle(image_size=17)
    with pytest.raises(Declined, match="image_size=17: patch_size does not divide it"):
        load("SwinModel", theirs.config.to_dict(), theirs.state_dict())
