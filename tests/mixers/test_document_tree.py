"""Attention along a tree: one softmax over siblings, parent and children, wherever the tokens stand; and the positions' sinusoids."""

from __future__ import annotations

import math

import torch

from sequary.claims.tree_reach import document, related
from sequary.core.ctx import Ctx
from sequary.mixers.attention.document_tree import TreeAttention
from sequary.ops.attend import attend
from sequary.tokens.tree_symbols import TreeSymbols

SETTINGS = {"sections": 3, "sentences": 4, "words": 5}


def test_any_layout_of_a_document_equals_dense_attention() -> None:
    tokens = document(SETTINGS, 0)
    rng = torch.Generator().manual_seed(0)
    tokens = [tokens[i] for i in torch.randperm(len(tokens), generator=rng).tolist()]
    mixer = TreeAttention(8, heads=2, sizes=(6, 5, 4)).double()
    x = torch.randn(1, len(tokens), 8, generator=rng, dtype=torch.float64)
    address = torch.tensor([[w + 6 * (t + 5 * s) for s, t, w in tokens]])
    sees = torch.tensor([[[related(a, b) for b in tokens] for a in tokens]])
    dense = attend(*mixer.qkv(x, None, 2), sees=sees)
    expected = mixer.o(dense.transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixer(x, Ctx(positions=address)), expected, rtol=0, atol=1e-12)


def test_positions_are_summed_over_levels() -> None:
    tokens = TreeSymbols(4, vocab=3, sizes=(6, 5)).double()
    torch.nn.init.zeros_(tokens.table.weight)
    found = tokens(torch.zeros(1, 1, dtype=torch.long), torch.tensor([[2 + 6 * 3]]))[0, 0]
    expected = [f(2 * r) + f(3 * r) for r in (1.0, 1e-2) for f in (math.sin, math.cos)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64) / 2)
