"""The decoder reads the real part of the source, all of it and only it; steps, padding and a ready memory change nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.values import Batch
from sequary.decode.beam import Beam
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.models.encdec import READER, EncoderDecoder
from sequary.objectives.distilled import retold
from sequary.objectives.tokens import NextToken

VOCAB = 11


def built(seed: int = 0) -> EncoderDecoder:
    """The recipe's, tiny, its weights moved far enough that nothing is near a tie."""
    recipe = load("deep-encoder-shallow-decoder").recipe
    assert recipe is not None
    torch.manual_seed(seed)
    model = recipe.bind({"vocab": VOCAB}).shrunk().build().double().eval()
    assert isinstance(model, EncoderDecoder)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model


def drawn(rows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_target_and_source_are_read_as_they_should_be() -> None:
    model, source, target = built(), drawn(1, 6), drawn(1, 5, 1)
    base = model(Batch(values=target, source=source)).hidden
    for t in range(5):
        other = target.clone()
        other[0, t] = (other[0, t] + 1) % VOCAB
        moved = (model(Batch(values=other, source=source)).hidden - base).abs().amax((0, 2)) > 1e-12
        assert moved.tolist() == [s >= t for s in range(5)]
    for s in range(6):
        other = source.clone()
        other[0, s] = (other[0, s] + 1) % VOCAB
        assert ((model(Batch(values=target, source=other)).hidden - base).abs().amax((0, 2)) > 1e-12).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_of_the_source_changes_nothing(side: str) -> None:
    model, source, target = built(), drawn(2, 6), drawn(2, 5, 1)
    alone = model(Batch(values=target, source=source)).hidden
    waste = drawn(2, 3, 2)
    wide = torch.cat((waste, source) if side == "left" else (source, waste), 1)
    real = torch.zeros(2, 9, dtype=torch.bool)
    real[:, 3:] |= side == "left"
    real[:, :6] |= side == "right"
    assert torch.allclose(model(Batch(values=target, source=wide, source_mask=real)).hidden, alone, atol=1e-12)


def test_the_encoder_runs_once() -> None:
    """The state is all that decoding needs: neither source nor encoder is touched again."""
    model, source, target = built(), drawn(2, 6), drawn(2, 5, 1)
    whole = model(Batch(values=target, source=source)).hidden
    state = model.init_state(Batch(values=target, source=source))
    with torch.no_grad():
        for p in model.encoder.parameters():
            p.zero_()
    out = list[Tensor]()
    for t in range(5):
        answer, state = model.step(target[:, t : t + 1], state)
        out.append(answer.hidden)
    assert torch.allclose(torch.cat(out, 1), whole, atol=1e-12)


def test_a_ready_memory_does_for_the_source() -> None:
    model, source, target = built(), drawn(2, 6), drawn(2, 5, 1)
    real = torch.ones(2, 6, dtype=torch.bool)
    real[1, 4:] = False
    given = Batch(values=target, source=source, source_mask=real)
    memory = model.encode(source, Ctx(mask=real))
    ready = dataclasses.replace(given, source=None, source_mask=None, memory=memory)
    assert torch.equal(model(ready).hidden, model(given).hidden)
    with pytest.raises(ValueError, match=r"batch\.source"):
        model(Batch(values=target))
    with pytest.raises(ValueError, match="no segments"):
        model(dataclasses.replace(given, segments=target))


def test_one_table_serves_source_target_and_output() -> None:
    model = built()
    tables = [n for n, p in model.named_parameters() if p.shape[0] == VOCAB and p.dim() == 2]
    assert len(tables) == 1


def test_a_decoder_that_looks_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match="must be causal"):
        EncoderDecoder(16, **{**EncoderDecoder.tiny, "decoder": part(Stack, depth=1, blocks=(READER,))})


def reversing(rows: int, rng: torch.Generator) -> Batch:
    """Five symbols, each replaced (3x + 1) and all in reverse order; 0 starts a row."""
    source = torch.randint(1, VOCAB, (rows, 5), generator=rng)
    target = ((3 * source + 1) % VOCAB).flip(1)
    return Batch(values=torch.cat((torch.zeros_like(target[:, :1]), target[:, :-1]), 1), target=target, source=source)


def fitted(model: Model, teacher: Model | None, steps: int) -> Model:
    optimiser, rng = torch.optim.Adam(model.parameters(), lr=3e-3), torch.Generator().manual_seed(0)
    greedy = Stepwise(new=5, choice=Likeliest())
    for _ in range(steps):
        batch = reversing(32, rng)
        if teacher is not None:
            batch = retold(teacher, batch, greedy, rng)
        optimiser.zero_grad()
        NextToken()(model, batch, rng).value.backward()
        optimiser.step()
    return model.eval()


def test_it_learns_to_translate_and_teaches_what_it_learnt() -> None:
    """The student never sees a true target; it is measured on them."""
    recipe = load("deep-encoder-shallow-decoder").recipe
    assert recipe is not None
    torch.manual_seed(0)
    small = recipe.bind({"vocab": VOCAB}).shrunk()
    teacher = fitted(small.build(), None, 250)
    student = fitted(small.build(), teacher, 250)
    batch = reversing(64, torch.Generator().manual_seed(1))
    assert batch.target is not None
    prompt = Batch(values=batch.values[:, :1], source=batch.source)
    for model in (teacher, student):
        said = Beam(new=5, width=3)(model, prompt, torch.Generator()).raw[:, 1:]
        assert (said == batch.target).double().mean() > 0.9


def test_retold_batches_stop_at_the_end() -> None:
    model, rng = built(), torch.Generator().manual_seed(0)
    batch = Batch(values=drawn(3, 4), target=drawn(3, 4, 1), source=drawn(3, 6, 2))
    greedy = Stepwise(new=6, choice=Likeliest())
    told = retold(model, batch, greedy, rng)
    assert told.target is not None
    assert torch.equal(told.values[:, 1:], told.target[:, :-1])
    end = int(told.target[0, 2])
    cut = retold(model, batch, greedy, rng, end=end)
    assert cut.weight is not None
    for row, counts in zip(told.target.tolist(), cut.weight.tolist(), strict=True):
        last = row.index(end) if end in row else len(row)
        assert counts == [float(i <= last) for i in range(6)]
