"""The made-up data of the claims about tables, layouts, prompts and objects are what their docstrings say."""

from __future__ import annotations

import torch

from sequary.claims import in_context, packed_selection, row_lookup, unseen_layouts
from sequary.claims.experiments import claim_of
from sequary.ops.packing import containers


def test_each_hidden_label_stands_at_a_copy_of_its_row() -> None:
    claim = claim_of("npt")
    rows, wrong = row_lookup.tables(claim, 20, 0, "test")
    columns = claim.settings["features"] + 1
    for seen, target, asked in zip(rows.values, rows.target, rows.asked, strict=True):
        table, answer = seen.view(-1, columns).tolist(), target.view(-1, columns).tolist()
        told = {tuple(row[:-1]): row[-1] for row in table if row[-1] != row_lookup.HIDDEN}
        hidden = [n for n, row in enumerate(table) if row[-1] == row_lookup.HIDDEN]
        assert len(told) == len(hidden) == claim.settings["rows"]
        assert all(told[tuple(table[n][:-1])] == answer[n][-1] for n in hidden)
        assert asked.view(-1, columns).nonzero().tolist() == [[n, columns - 1] for n in hidden]
        assert int(target.max()) < row_lookup.vocab(claim)
    moved = (wrong != rows.values).nonzero()[:, 1]
    assert len(moved)
    assert bool((moved % columns == columns - 1).all())


def test_waves_are_told_by_the_two_segments_before() -> None:
    settings = {"segments": 6, "patch": 4, "noise": 0.0}
    u = unseen_layouts.waves(3, 5, settings, torch.Generator().manual_seed(0))
    assert u.shape == (3, 7, 5, 4)
    beside = torch.nn.functional.pad(u[:, 1:-1], (0, 0, 1, 1))
    torch.testing.assert_close(u[:, 2:], beside[:, :, :-2] + beside[:, :, 2:] - u[:, :-2], rtol=0, atol=1e-4)


def test_prompts_are_linear_in_the_features_of_their_task() -> None:
    settings = {"inputs": 3, "features": 3, "examples": 10, "noise": 0.0}
    task = in_context.Task(settings, 0)
    x, y = task.prompts(4, torch.Generator().manual_seed(0))
    phi = task.phi(x)
    w = torch.linalg.lstsq(phi[:, :-1], y[:, :-1, None]).solution
    torch.testing.assert_close((phi[:, -1:] @ w)[:, 0, 0], y[:, -1], rtol=0, atol=1e-3)


def test_a_turn_of_the_loop_is_said_for_every_pair() -> None:
    settings = {**claim_of("algoformer").settings, "steps": 1, "batch": 2}
    task = in_context.Task(settings, 0)
    x, y = task.prompts(2, torch.Generator().manual_seed(0))
    nets = in_context.arms("algoformer", settings, 0)
    said = {name: net(x, y) for name, net in nets.items()}
    assert {n: len(s) for n, s in said.items()} == {"system": 4, "once": 1, "all_looped": 4}
    sizes = {sum(p.numel() for p in net.parameters()) for net in nets.values()}
    assert len(sizes) == 1
    other = y.clone()
    other[:, 5:] += 1
    for name, net in nets.items():
        torch.testing.assert_close(net(x, other)[..., :6], said[name][..., :6])


def test_the_gate_selects_the_object() -> None:
    settings = {"images": 3, "side": 6, "dim": 8, "heads": 2, "least": 2, "most": 4}
    x, inside = packed_selection.images(settings, 0)
    mixer = packed_selection.gated(settings, 0)
    selected = mixer.gate(x)[..., 0] > 0
    assert selected.equal(inside)
    assert int((containers(selected) >= 0).sum()) == int(inside.sum())
