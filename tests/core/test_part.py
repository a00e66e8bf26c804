"""Parts: checked where they are written, changed from outside, built with what only their place or the data can give."""

from __future__ import annotations

import pytest
import torch

from sequary.backbones.stack import Stack
from sequary.blocks.prenorm import PreNorm
from sequary.core.catalogue import load as system
from sequary.core.part import FromData, Tied, part
from sequary.core.place import Place
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

BLOCK = part(PreNorm, parts=(part(CausalAttention, heads=4), part(SwiGLU)))


def test_a_misspelt_argument_fails_where_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"CausalAttention.*head.*it takes heads, base, bias"):
        part(CausalAttention, head=4)  # pyright: ignore[reportCallIssue]


def test_a_missing_argument_fails_where_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"missing.*vocab"):
        part(Categorical)  # pyright: ignore[reportCallIssue]


def test_lists_are_refused_since_parts_are_values() -> None:
    with pytest.raises(TypeError, match="use tuples"):
        part(Stack, depth=2, blocks=[BLOCK])  # pyright: ignore[reportArgumentType]


def test_but_reaches_inside() -> None:
    stack = part(Stack, depth=2, blocks=(BLOCK,))
    changed = stack.but(blocks__0__parts__0__heads=8, depth=3)
    assert changed.get("depth") == 3
    assert changed.get("blocks")[0].get("parts")[0].get("heads") == 8
    assert stack.get("blocks")[0].get("parts")[0].get("heads") == 4
    with pytest.raises(TypeError, match="it takes"):
        stack.but(blocks__0__parts__0__hedas=8)
    with pytest.raises(TypeError, match=r"blocks.*has no '7'"):
        stack.but(blocks__7__norm=1)


def test_equal_parts_are_equal_and_hash_alike() -> None:
    assert part(CausalAttention, heads=4, bias=True) == part(CausalAttention, bias=True, heads=4)
    assert len({BLOCK, part(PreNorm, parts=(part(CausalAttention, heads=4), part(SwiGLU)))}) == 1


def test_what_only_data_can_give_must_be_bound() -> None:
    head = part(Categorical, vocab=FromData("vocab"))
    with pytest.raises(ValueError, match=r"bind\(\{'vocab'"):
        head.build(Place(8))


def test_tied_parts_are_one_module_in_one_model_and_another_in_the_next() -> None:
    shared = Tied("block", BLOCK)
    stack = part(Stack, depth=3, blocks=(shared,))
    one, two = stack.build(Place(16)), stack.build(Place(16))
    assert one.blocks[0] is one.blocks[2]
    assert one.blocks[0] is not two.blocks[0]
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in BLOCK.build(Place(16)).parameters())


def test_two_parts_cannot_share_one_tie() -> None:
    stack = part(Stack, depth=2, blocks=(Tied("x", BLOCK), Tied("x", BLOCK.but(parts__0__heads=2))))
    with pytest.raises(ValueError, match="two different parts are tied as 'x'"):
        stack.build(Place(16))


def test_a_paper_sized_stack_builds_without_memory() -> None:
    with torch.device("meta"):
        big = part(Stack, depth=48, blocks=(BLOCK.but(parts__0__heads=64),)).build(Place(8192))
    assert sum(p.numel() for p in big.parameters()) > 3e10


def test_a_misspelt_path_is_named_with_what_it_stands_in_and_the_nearest_names() -> None:
    recipe = system("gla").recipe
    assert recipe is not None
    wrong = {
        "modle": "recipe (Recipe) has no 'modle'; did you mean model?",
        "model__backbon__depth": "LanguageModel has no 'backbon'; did you mean backbone?",
        "model__backbone__blocks__7__norm": "Stack.blocks (tuple) has no '7'; it has 0",
        "stages__0__train__learning_rate": "recipe.stages[0].train (Train) has no 'learning_rate'; it has steps, batch",
        "dim__wide": "recipe.dim (int) has no 'wide'; it has nothing to change",
    }
    for path, said in wrong.items():
        with pytest.raises(TypeError) as found:
            recipe.but(**{path: 1})
        assert str(found.value).startswith(said)
        assert len(str(found.value)) < 200
    with pytest.raises(TypeError, match="did you mean heads"):
        part(CausalAttention, hedas=4)  # pyright: ignore[reportCallIssue]
