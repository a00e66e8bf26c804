"""Attention to chunk states: with chunks of one token it is causal attention, and the cache holds one entry a chunk."""

from __future__ import annotations

import torch

from sequary.core.part import part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.chunk_states import ChunkStateAttention
from sequary.mixers.mlp.dense import MLP


def tokens(length: int) -> torch.Tensor:
    return torch.randn(2, length, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_chunks_of_one_token_are_causal_attention() -> None:
    torch.manual_seed(0)
    plain = part(MLP, hidden=32, activation="relu", bias=False)
    ours = ChunkStateAttention(16, heads=2, chunk=1, window=1, keys=plain, values=plain).double()
    theirs = CausalAttention(16, heads=2).double()
    eye = torch.eye(16, dtype=torch.float64)
    with torch.no_grad():  # max(0, x) − max(0, −x) = x: the two layers are the map itself
        for mlp, linear in ((ours.keys, theirs.qkv.k), (ours.values, theirs.qkv.v)):
            mlp.up.weight.copy_(torch.cat((eye, -eye)))  # type: ignore[union-attr]
            mlp.down.weight.copy_(torch.cat((linear.weight, -linear.weight), 1))  # type: ignore[union-attr]
        theirs.qkv.q.weight.copy_(ours.q.weight)  # type: ignore[union-attr]
        theirs.o.weight.copy_(ours.o.weight)  # type: ignore[union-attr]
    torch.testing.assert_close(ours(tokens(11)), theirs(tokens(11)))


def test_the_cache_holds_ends_of_chunks_and_the_last_few() -> None:
    torch.manual_seed(0)
    mixer = ChunkStateAttention(16, heads=2, chunk=8, window=3).double()
    _, state = mixer.step(tokens(40), mixer.init_state(2))
    assert state.read.at[0].tolist() == [7, 15, 23, 31, 38, 39]
    shifted = ChunkStateAttention(16, heads=2, chunk=8, window=1, layer=2).double()
    _, state = shifted.step(tokens(40), shifted.init_state(2))
    assert state.read.at[0].tolist() == [5, 13, 21, 29, 37]
