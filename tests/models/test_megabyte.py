"""Patches are counted from the first real symbol, whatever the padding, the split into steps, or the other rows of the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.backbones.stack import BLOCK, Stack
from sequary.blocks.handover import After, Before, Meets, OwnSlices, SharedSlices
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.decode.blockwise import Blockwise
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.full import Attention
from sequary.models.megabyte import Megabyte, MegabyteState
from sequary.objectives.tokens import NextToken
from sequary.tokens.byte_patches import ConcatenatedBytes, ProjectedBytes
from sequary.tokens.symbols import Embedding

VOCAB = 7
STAGE = part(Stack, depth=1, blocks=(BLOCK,))
KINDS = ["paper", "package", "three stages"]


def made(kind: str, seed: int = 0) -> Megabyte:
    torch.manual_seed(seed)
    meets: Meets = After() if kind == "package" else Before()
    slices = part(OwnSlices) if kind == "package" else part(SharedSlices)
    first = part(ProjectedBytes, vocab=VOCAB, size=4, width=5, positions=9)
    coarse = (first,) if kind == "package" else (part(ConcatenatedBytes, vocab=VOCAB, size=4),)
    if kind == "three stages":
        coarse = (part(ConcatenatedBytes, vocab=VOCAB, size=6), part(ConcatenatedBytes, vocab=VOCAB, size=2))
    model = part(
        Megabyte,
        widths=(24, 12)[: len(coarse)],
        coarse=coarse,
        slices=(slices,) * len(coarse),
        fine=part(Embedding, vocab=VOCAB),
        stages=(STAGE,) * (len(coarse) + 1),
        head=part(Categorical, vocab=VOCAB),
        meets=meets,
    ).build(Place(16))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model.double().eval()


def drawn(rows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_reads_the_symbols_up_to_its_own_and_all_earlier_patches(kind: str) -> None:
    model, ids = made(kind), drawn(1, 23)
    base = model(Batch(values=ids)).hidden
    for t in range(23):
        other = ids.clone()
        other[0, t] = (other[0, t] + 1) % VOCAB
        moved = (model(Batch(values=other)).hidden - base).abs().amax((0, 2)) > 1e-12
        assert not moved[:t].any()
        assert moved[t]
        assert moved[-1], f"symbol {t} is several patches back, but must be seen at the end"


def test_a_patch_sees_the_one_before_it_only_through_the_coarse_stage() -> None:
    """With the coarse stage's word cut, nothing outside of a patch matters."""
    model, ids = made("paper"), drawn(1, 12)
    with torch.no_grad():
        for p in model.slices.parameters():
            p.zero_()
    other = ids.clone()
    other[0, :7] = (other[0, :7] + 1) % VOCAB
    gap = (model(Batch(values=other)).hidden - model(Batch(values=ids)).hidden).abs().amax((0, 2))
    read = [0, 1, 2, 4, 5, 6]  # symbol 3 closes a patch: what follows it comes from the start vector of the next
    assert (gap > 0).nonzero().flatten().tolist() == read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [1, 3, 4, 5])
def test_padding_left_and_right_changes_nothing_at_real_symbols(kind: str, left: int) -> None:
    model, ids = made(kind), drawn(2, 10)
    alone = model(Batch(values=ids)).hidden
    wide = torch.cat((drawn(2, left, 1), ids, drawn(2, 2, 2)), 1)
    mask = torch.zeros(wide.shape, dtype=torch.bool)
    mask[:, left:-2] = True
    assert torch.allclose(model(Batch(values=wide, observed=mask)).hidden[:, left:-2], alone, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", [(1,) * 21, (21,), (4,) * 5 + (1,), (3, 9, 1, 8), (13, 8), (1, 20)])
def test_steps_of_any_size_with_rows_at_different_phases(kind: str, split: tuple[int, ...]) -> None:
    model, ids = made(kind), drawn(3, 21)
    mask = torch.ones(3, 21, dtype=torch.bool)
    mask[1, :2], mask[2, :7] = False, False
    whole = model(Batch(values=ids, observed=mask)).hidden
    state, out = model.init_state(Batch(values=ids)), list[Tensor]()
    for piece, real in zip(ids.split(split, 1), mask.split(split, 1), strict=True):
        answer, state = model.step(piece, state, Ctx(mask=real))
        out.append(answer.hidden)
    assert torch.allclose(torch.cat(out, 1)[mask], whole[mask], atol=1e-12)
    assert isinstance(state, MegabyteState)
    assert state.seen.tolist() == [21, 19, 14]


def test_picked_rows_go_on_as_if_they_had_been_there_from_the_start() -> None:
    model, ids, rows = made("paper"), drawn(3, 6), torch.tensor([2, 0, 0])
    mask = torch.ones(3, 6, dtype=torch.bool)
    mask[0, :3] = False
    _, state = model.step(ids, model.init_state(Batch(values=ids)), Ctx(mask=mask))
    more = drawn(3, 5, 1)
    went = model.step(more, state.select(rows))[0].hidden
    full = Batch(values=torch.cat((ids[rows], more), 1), observed=torch.cat((mask[rows], more >= 0), 1))
    assert torch.allclose(went, model(full).hidden[:, 6:], atol=1e-12)


def test_the_cache_grows_with_patches_not_with_symbols() -> None:
    model = made("paper")
    state, sizes = model.init_state(Batch(values=drawn(1, 1))), list[int]()
    for t in range(16):
        _, state = model.step(drawn(1, 1, t), state)
        sizes.append(state.bytes())
    assert len(set(sizes)) == 5, "one size before the first whole patch, and one more for each of four"


def test_decoders_agree_and_ignore_padding() -> None:
    model, prompt, rng = made("paper"), drawn(2, 6), torch.Generator().manual_seed(0)
    greedy = Stepwise(new=11, choice=Likeliest())(model, Batch(values=prompt), rng).raw
    assert torch.equal(Blockwise(new=11)(model, Batch(values=prompt), rng).raw, greedy)
    padded = torch.cat((drawn(2, 3, 1), prompt), 1)
    mask = torch.arange(9).expand(2, 9) >= 3
    again = Stepwise(new=11, choice=Likeliest())(model, Batch(values=padded, observed=mask), rng).raw
    assert torch.equal(again[:, 3:], greedy)


def test_it_learns_what_only_earlier_patches_tell() -> None:
    """The symbol that opened a row returns every eighth place, between symbols that say nothing: two patches back."""
    recipe = load("megabyte").recipe
    assert recipe is not None
    torch.manual_seed(0)
    model: Model = recipe.bind({"vocab": VOCAB}).shrunk().build()
    optimiser, rng = torch.optim.Adam(model.parameters(), lr=1e-2), torch.Generator().manual_seed(0)
    weight = (torch.arange(1, 25) % 8 == 0).float().expand(24, 24)
    loss = torch.tensor(9.0)
    for _ in range(150):
        row = torch.randint(VOCAB, (24, 25), generator=rng)
        row[:, ::8] = row[:, :1]
        optimiser.zero_grad()
        loss = NextToken()(model, Batch(values=row[:, :-1], target=row[:, 1:], weight=weight), rng).value
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5, "chance is log 7 = 1.95"


def test_what_does_not_fit_is_refused() -> None:
    model, ids = made("paper"), drawn(1, 8)
    with pytest.raises(ValueError, match="no segments"):
        model(Batch(values=ids, segments=torch.ones_like(ids)))
    kw = {**Megabyte.tiny, "stages": (STAGE,)}
    with pytest.raises(ValueError, match="1 stages"):
        Megabyte(16, **kw)
    both = part(Stack, depth=1, blocks=(part(Attention, heads=2),))
    with pytest.raises(ValueError, match="causal stages"):
        Megabyte(16, **{**Megabyte.tiny, "stages": (both, STAGE)})
    with pytest.raises(ValueError, match="size=5 does not divide dim=16; use a width of 20"):
        ConcatenatedBytes(16, vocab=7, size=5)
