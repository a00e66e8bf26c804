"""Options of the sources: which change nothing in eval, and which are declined by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sequary.convert import lorap
from sequary.convert.declined import Declined
from sequary.convert.goldens import Replay, replay
from sequary.convert.source import from_source

HERE = Path(__file__).parent / "goldens"


def changed(tmp: Path, slug: str, case: str, arguments: dict[str, Any]) -> Replay:
    """The stored case, replayed with other arguments."""
    told = json.loads((HERE / slug / f"{case}.json").read_text(encoding="utf-8"))
    told["arguments"] |= arguments
    (tmp / f"{case}.json").write_text(json.dumps(told), encoding="utf-8")
    shutil.copy(HERE / slug / f"{case}.safetensors", tmp)
    return replay(slug, tmp / f"{case}.json")


@pytest.mark.parametrize(
    ("slug", "case", "arguments"),
    [
        ("ltsf-linear", "a1_dlinear_shared", {"individual": 0, "dropout": 0.5}),
        ("itransformer", "a1", {"class_strategy": "cls_token", "factor": 9, "use_norm": 1, "output_attention": False}),
        ("patchtst", "a1", {"store_attn": True, "max_seq_len": 9, "key_padding_mask": "auto", "learn_pe": False}),
        ("patchtst", "a4_pretraining", {"head_dropout": 0.9, "individual": True, "y_range": [0, 1], "stride": 1}),
        ("head-pruning-michel", "a1", {"rescale_by_number": True, "at_least_x_heads_per_layer": None}),
        ("head-pruning-michel", "a1", {"type_vocab_size": 2, "hidden_dropout_prob": 0.1}),
        ("attention-rank-collapse", "a2", {"hidden_act": "relu", "chunk_size_feed_forward": 1}),
        ("ebwm-ebt", "a1", {"ebt_norm": "layer", "ebt_act_func": "relu"}),
        ("ebwm-ebt", "a1", {"mcmc_step_size": 99.0, "weight_initialization_method": "he", "context_length": 99}),
    ],
)
def test_what_changes_nothing_is_taken(tmp_path: Path, slug: str, case: str, arguments: dict[str, Any]) -> None:
    result = changed(tmp_path, slug, case, arguments)
    assert result.declined is None
    assert result.passed, f"error {result.error} at {result.where}"


@pytest.mark.parametrize(
    ("slug", "case", "arguments", "name"),
    [
        ("patchtst", "a1", {"n_heads": 5}, "n_heads=5"),
        ("patchtst", "a1", {"decomposition": True, "kernel_size": 4}, "kernel_size=4"),
        ("patchtst", "a1", {"act": "silu"}, "act='silu'"),
        ("patchtst", "a1", {"pretrain_head": True}, "pretrain_head=True"),
        ("head-pruning-michel", "a1", {"hidden_act": "tanh"}, "hidden_act='tanh'"),
        ("head-pruning-michel", "a1", {"at_least_x_heads_per_layer": 2}, "at_least_x_heads_per_layer=2"),
        ("attention-rank-collapse", "a3", {"hidden_act": "tanh"}, "hidden_act='tanh'"),
        ("attention-rank-collapse", "a3", {"is_decoder": True}, "is_decoder"),
        ("ebwm-ebt", "a1", {"ebt_type": "other"}, "ebt_type='other'"),
        (
            "ebwm-ebt",
            "a1",
            {"ebt_type": "time_embed", "ebt_norm": "ebm_backwards_norm"},
            "ebt_norm='ebm_backwards_norm'",
        ),
        ("ebwm-ebt", "a1", {"randomize_mcmc_num_steps": 2}, "randomize_mcmc_num_steps=2"),
        ("ebwm-ebt", "a1", {"multiheaded_attention_heads": 16}, "multiheaded_attention_heads=16"),
    ],
)
def test_what_is_not_built_is_declined(
    tmp_path: Path, slug: str, case: str, arguments: dict[str, Any], name: str
) -> None:
    result = changed(tmp_path, slug, case, arguments)
    assert result.declined is not None
    assert result.declined.startswith(name)


def layer(silent: int, rank: int | None) -> dict[str, torch.Tensor]:
    """LoRAP's factors of a layer that never sees `silent` of its five inputs."""
    rng = torch.Generator().manual_seed(0)
    w = {"weight": torch.randn(6, 5, generator=rng, dtype=torch.double)}
    x = torch.randn(2, 9, 5, generator=rng, dtype=torch.double)
    x[..., :silent] = 0
    arguments = {} if rank is None else {"saved_rank": rank}
    return lorap.replay(lorap.load("WrappedGPT, decopose", arguments, w), {"x": x}, arguments)


def test_eigenvectors_that_nothing_determines_are_declined() -> None:
    assert layer(1, 4)["AFM_product"].shape == (6, 5)
    assert torch.equal(layer(1, 6)["AFM_product"].isfinite(), torch.ones(6, 5, dtype=torch.bool))
    with pytest.raises(Declined, match=r"saved_rank=5: .* rank 4"):
        layer(1, 5)


def test_statistics_alone_need_no_rank() -> None:
    assert layer(0, None).keys() == {"scaler_row", "out_mean", "out_matrix"}


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(ValueError, match="itransformer: arguments or weights lack 'seq_len'"):
        from_source("itransformer", "model/iTransformer.py:Model", {"pred_len": 3}, {})


def test_heads_are_chosen_by_raw_scores_where_no_norm_is_asked_for(tmp_path: Path) -> None:
    from sequary.convert.head_pruning_michel import all_but_the_best

    scores = torch.tensor([[3.0, 1.0, 2.0], [9.0, 8.0, 7.0]])
    assert all_but_the_best(scores, 3).tolist() == [[False, True, True], [False, False, True]]
    assert all_but_the_best(scores, 6).sum() == 4, "each layer's best stays"
    result = changed(tmp_path, "head-pruning-michel", "a1", {"normalize_scores_by_layer": False})
    assert result.where in ("out.importance", "out.prune", "out.prune_keep1", "out.logits_masked", "out.logits_pruned")
    assert not result.passed
