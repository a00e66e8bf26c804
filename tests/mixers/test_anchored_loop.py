"""The loop over anchored keys and values, written out for one row."""

from __future__ import annotations

import torch

from sequary.blocks.anchored_loop import AnchoredLoop
from sequary.core.ctx import Ctx, Tape
from sequary.mixers.attention.cache import Cache
from sequary.ops.rotary import rotate


def made(loops: int = 3, indices: int | None = None) -> AnchoredLoop:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = AnchoredLoop(8, heads=2, loops=loops, streams=2, indices=indices).double()
        with torch.no_grad():
            for p in block.parameters():
                p += 0.3 * torch.randn_like(p)
    return block


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_it_is_the_equation() -> None:
    block, x = made(), drawn(5, 8)
    at = torch.arange(5)[None]

    def by_head(y: torch.Tensor) -> torch.Tensor:
        return y.view(5, 2, 4).transpose(0, 1)

    latent = block.anchor(x)
    k, v = rotate(by_head(block.k(latent))[None], at)[0], by_head(block.v(latent))
    streams, a, mix = [x, x], block.keep.sigmoid(), block.mix.softmax(-1)
    for r in range(3):
        u = block.read[0] * streams[0] + block.read[1] * streams[1] + block.index[r]
        q = rotate(by_head(block.q(block.norms[0](u)))[None], at)[0]
        scores = (q @ k.mT / 2).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
        y = block.o((scores.softmax(-1) @ v).transpose(0, 1).reshape(5, 8))
        y = block.take * (y + block.mlp(block.norms[1](u + y)[None])[0])
        mixed = [mix[s, 0] * streams[0] + mix[s, 1] * streams[1] for s in range(2)]
        streams = [a * mixed[s] + block.write[s] * y for s in range(2)]
    torch.testing.assert_close(block(x[None])[0], (streams[0] + streams[1]) / 2)


def test_more_rounds_than_trained_share_the_last_index_and_nothing_is_cached_for_them() -> None:
    short, long = made(loops=3), made(loops=5, indices=3)
    long.load_state_dict(short.state_dict())
    x = drawn(1, 5, 8)
    assert not torch.allclose(short(x), long(x))
    sizes = [block.step(x, block.init_state(1))[1].bytes() for block in (short, long)]
    assert sizes[0] == sizes[1]
    assert isinstance(long.init_state(1), Cache)


def test_the_radius_is_that_of_what_is_carried_on() -> None:
    block, tape = made(), Tape("radius")
    block(drawn(1, 4, 8), Ctx(tape=tape))
    carried = torch.kron(block.mix.softmax(-1), torch.diag(block.keep.sigmoid()))
    radius = torch.linalg.eigvals(carried).abs().max()
    torch.testing.assert_close(tape.entries["radius"][0], radius)
    assert float(radius.detach()) < 1
