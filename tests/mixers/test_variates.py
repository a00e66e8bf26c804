"""Attention over channels and time against its formula, cell by cell; and the options of its source."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.mvpformer import load, replay
from sequary.core.ctx import Ctx
from sequary.mixers.attention.variates import VariateAttention

STEPS, CHANNELS, DIM, HEADS, SHARED = 5, 3, 8, 4, 2
GRID = Ctx(grid=(STEPS, CHANNELS))
X = torch.randn(2, STEPS * CHANNELS, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def made(window: int) -> VariateAttention:
    """With fewer vectors than there are lags and distances."""
    torch.manual_seed(0)
    mixer = VariateAttention(DIM, heads=HEADS, kv_heads=SHARED, window=window, lags=4, distances=2).double()
    with torch.no_grad():
        for table in (mixer.biases, mixer.lags, mixer.distances):
            table.normal_()
    return mixer


def score(mixer: VariateAttention, head: int, at: tuple[int, int], key: tuple[int, int], row: int) -> Tensor:
    width, group = DIM // HEADS, head // (HEADS // SHARED)
    own, shared = slice(head * width, (head + 1) * width), slice(group * width, (group + 1) * width)
    q = mixer.q(X[row, at[0] * CHANNELS + at[1]])[own]
    z, u, w = mixer.biases[:, shared]
    lag, apart = at[0] - key[0], abs(at[1] - key[1])
    total = (q + u) @ mixer.lag(mixer.lags[min(lag, 3)])[shared]
    total = total + (q + w) @ mixer.distance(mixer.distances[min(apart, 1)])[shared]
    if lag <= mixer.window:
        total = total + (q + z) @ mixer.k(X[row, key[0] * CHANNELS + key[1]])[shared]
    return total / width**0.5


@pytest.mark.parametrize("window", [-1, 1, 10])
def test_the_formula(window: int) -> None:
    mixer, width = made(window), DIM // HEADS
    out, values = mixer(X, GRID), mixer.v(X)
    for step, channel in ((0, 2), (3, 1), (4, 0)):
        keys = [(j, d) for j in range(step + 1) for d in range(CHANNELS)]
        heads: list[Tensor] = []
        for head in range(HEADS):
            share = torch.stack([score(mixer, head, (step, channel), key, 1) for key in keys]).softmax(0)
            group = head // (HEADS // SHARED)
            v = torch.stack([values[1, j * CHANNELS + d, group * width : (group + 1) * width] for j, d in keys])
            heads.append(share @ v)
        torch.testing.assert_close(out[1, step * CHANNELS + channel], mixer.o(torch.cat(heads)))


def test_no_step_reads_a_later_one() -> None:
    mixer, other = made(10), X.clone()
    other[:, 3 * CHANNELS :] += 1
    changed = (mixer(other, GRID) - mixer(X, GRID)).abs().amax((0, 2)).view(STEPS, CHANNELS) > 1e-12
    assert changed.tolist() == [[False] * CHANNELS] * 3 + [[True] * CHANNELS] * 2


def test_a_prefix_is_read_alike_which_the_source_does_not() -> None:
    mixer = made(1)
    prefix = mixer(X[:, : 4 * CHANNELS], Ctx(grid=(4, CHANNELS)))
    torch.testing.assert_close(prefix, mixer(X, GRID)[:, : 4 * CHANNELS])


SOURCE = {"hidden_size": DIM, "num_attention_heads": HEADS, "n_head_kv": SHARED, "lora_rank": 2, "lora_alpha": 3}


def weights(*, lora: bool = False) -> dict[str, Tensor]:
    shared = DIM // HEADS * SHARED
    sizes = {"q_attn": DIM, "c_attn": 2 * shared, "position_net": shared, "channel_net": shared, "c_proj": DIM}
    rng = torch.Generator().manual_seed(1)
    found = {f"{n}.weight": torch.randn(size, DIM, generator=rng, dtype=torch.float64) for n, size in sizes.items()}
    found["attn_bias"] = torch.randn(3 * shared, generator=rng, dtype=torch.float64)
    if lora:
        for name, rows in (("q_attn", DIM), ("c_attn", shared)):
            found[f"{name}.lora_A"] = torch.randn(2, DIM, generator=rng, dtype=torch.float64)
            found[f"{name}.lora_B"] = torch.randn(rows, 2, generator=rng, dtype=torch.float64)
    return found


def said(arguments: dict[str, Any], given: dict[str, Tensor]) -> Tensor:
    rng = torch.Generator().manual_seed(2)
    inputs = {
        "hidden_states": X.view(2, STEPS, CHANNELS, DIM),
        "positional_embedding": torch.randn(2, STEPS, DIM, generator=rng, dtype=torch.float64),
        "channel_embedding": torch.randn(2, CHANNELS, DIM, generator=rng, dtype=torch.float64),
    }
    module = load("MVPFormerGQAAttention", SOURCE | arguments, given)
    return replay(module, inputs, SOURCE | arguments)["y"]


def test_low_rank_additions_act_on_queries_and_values_unless_they_are_merged() -> None:
    given = weights(lora=True)
    whole = weights()
    added = {n: given[f"{n}.lora_B"] @ given[f"{n}.lora_A"] * 3 / 2 for n in ("q_attn", "c_attn")}
    whole["q_attn.weight"] = whole["q_attn.weight"] + added["q_attn"]
    values = whole["c_attn.weight"][len(whole["c_attn.weight"]) // 2 :] + added["c_attn"]
    whole["c_attn.weight"] = torch.cat((whole["c_attn.weight"][: len(values)], values))
    torch.testing.assert_close(said({"lora": True, "lora_merge": False}, given), said({}, whole))
    torch.testing.assert_close(said({"lora": True, "lora_merge": True}, given), said({}, weights()))


def test_scales_of_the_source() -> None:
    halved = {n: w / 2 if n in ("q_attn.weight", "attn_bias") else w for n, w in weights().items()}
    by_layer = {"scale_attn_by_inverse_layer_idx": True, "layer_idx": 1}
    torch.testing.assert_close(said(by_layer, weights()), said({}, halved))
    shrunk = {n: w / (DIM // HEADS) ** 0.5 if n in ("q_attn.weight", "attn_bias") else w for n, w in weights().items()}
    torch.testing.assert_close(said({"scale_attn_weights": False}, shrunk), said({}, weights()))
    with pytest.raises(Declined, match="scale_attn_by_inverse_layer_idx=True without layer_idx"):
        load("MVPFormerGQAAttention", SOURCE | {"scale_attn_by_inverse_layer_idx": True}, weights())
