"""A cache writes on in place only where no older one could notice."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.attention.cache import LEAST, Cache


def keys(count: int, seed: int) -> Tensor:
    return torch.randn(2, 1, count, 3, generator=torch.Generator().manual_seed(seed))


def longer(cache: Cache, new: Tensor) -> Cache:
    return cache.append(new, -new, Ctx())[0]


@torch.no_grad()
def test_branches_of_one_cache_do_not_see_each_other() -> None:
    trunk = longer(Cache.empty(2, 1, 3, 3, torch.zeros(1)), keys(5, 0))
    left, right = longer(trunk, keys(2, 1)), longer(trunk, keys(2, 2))
    back = longer(left.rewind(6), keys(1, 3))
    assert torch.equal(left.k, torch.cat((keys(5, 0), keys(2, 1)), 2))
    assert torch.equal(right.k, torch.cat((keys(5, 0), keys(2, 2)), 2))
    assert torch.equal(back.v, -torch.cat((keys(5, 0), keys(2, 1)[:, :, :1], keys(1, 3)), 2))
    assert torch.equal(trunk.k, keys(5, 0))


@torch.no_grad()
def test_one_that_ends_where_the_room_is_filled_copies_nothing() -> None:
    short = longer(Cache.empty(2, 1, 3, 3, torch.zeros(1)), keys(5, 0))
    longest = longer(short, keys(LEAST - 5, 1))
    assert longest.k.data_ptr() == short.k.data_ptr()
    assert longer(longest, keys(1, 2)).k.data_ptr() != short.k.data_ptr()  # full: a larger room


@torch.no_grad()
def test_rows_that_were_chosen_do_not_write_into_the_old_room() -> None:
    old = longer(Cache.empty(2, 1, 3, 3, torch.zeros(1)), keys(5, 0))
    turned = longer(old.select(torch.tensor([1, 0])), keys(1, 1))
    assert torch.equal(turned.k[:, :, :5], keys(5, 0).flip(0))
    assert torch.equal(longer(old, keys(1, 2)).k, torch.cat((keys(5, 0), keys(1, 2)), 2))


def test_gradients_flow_through_a_cache() -> None:
    first, second = keys(3, 0).requires_grad_(), keys(2, 1).requires_grad_()
    cache = longer(longer(Cache.empty(2, 1, 3, 3, torch.zeros(1)), first), second)
    cache.k.square().sum().backward()
    assert first.grad is not None
    assert torch.equal(first.grad, 2 * first)


@torch.no_grad()
def test_only_a_single_new_token_of_unpadded_rows_sees_everything() -> None:
    empty = Cache.empty(2, 1, 3, 3, torch.zeros(1))
    cache, sees = empty.append(keys(4, 0), keys(4, 0), Ctx(mask=torch.tensor([[True] * 4, [False, True, True, True]])))
    assert sees is not None
    assert sees[1, 3].tolist() == [False, True, True, True]
    _, later = cache.append(keys(1, 1), keys(1, 1), Ctx())
    assert later is not None
    assert later[:, 0].tolist() == [[True] * 5, [False, True, True, True, True]]
    assert longer(empty, keys(4, 0)).append(keys(1, 1), keys(1, 1), Ctx())[1] is None
