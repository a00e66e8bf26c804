"""Checkpoints that transformers saved, of varied sizes and head counts, read back by us: the same logits, whole and token by token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import sequary
from sequary.convert.declined import Declined
from sequary.core.values import Batch

transformers = pytest.importorskip("transformers")

SMALL = {"vocab_size": 23, "num_hidden_layers": 2}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("Mamba", {**SMALL, "hidden_size": 24, "state_size": 5, "time_step_rank": 3}),
    ("Mamba2", {**SMALL, "hidden_size": 32, "num_heads": 4, "head_dim": 16, "state_size": 6, "n_groups": 2, "chunk_size": 8}),
    ("Mamba2", {**SMALL, "hidden_size": 24, "num_heads": 6, "head_dim": 8, "state_size": 4, "n_groups": 1, "use_bias": True}),
    ("GPT2", {"vocab_size": 23, "n_layer": 2, "n_embd": 24, "n_head": 3, "n_positions": 40}),
    ("GPT2", {"vocab_size": 23, "n_layer": 1, "n_embd": 16, "n_head": 4, "n_positions": 40, "n_inner": 40}),
    ("Llama", {**SMALL, "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 40, "rope_theta": 500}),
    ("Llama", {**SMALL, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "attention_bias": True}),
    ("Llama", {**SMALL, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "tie_word_embeddings": True}),
    ("Qwen2", {**SMALL, "hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 40}),
]  # fmt: skip
HEADS = {"GPT2": "GPT2LMHeadModel"}


def saved(kind: str, settings: dict[str, Any], folder: Path) -> Any:
    """Their model with noise on every weight, so that a missing bias or norm shows; saved in pieces where it is large enough."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**settings)
    model = getattr(transformers, HEADS.get(kind, f"{kind}ForCausalLM"))(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder, max_shard_size="10KB")
    return model


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1))


@pytest.mark.parametrize(("kind", "settings"), CASES, ids=[f"{k}-{n}" for n, (k, _) in enumerate(CASES)])
@torch.no_grad()
def test_the_same_logits(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    theirs = saved(kind, settings, tmp_path)
    ours = sequary.load_transformers(tmp_path)
    ids = torch.randint(23, (2, 37), generator=torch.Generator().manual_seed(1))
    expected = theirs(ids, use_cache=False).logits
    assert closeness(ours.head(ours(Batch(values=ids)).hidden), expected) < 1e-5
    state, steps = ours.init_state(Batch(values=ids)), list[Tensor]()
    for some in ids.split(5, 1):
        out, state = ours.step(some, state)
        steps.append(ours.head(out.hidden))
    assert closeness(torch.cat(steps, 1), expected) < 1e-5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "bert"}, "model_type='bert'; known are gpt2, llama, mamba, mamba2, mistral, olmo, opt, qwen2"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu': only 'silu' is built"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "only plain rotary positions are built"),
        ({"head_dim": 5}, "head_dim=5: only 12 is built"),
    ],
)
def test_what_is_not_built_is_declined_by_name(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    saved("Llama", {**SMALL, "hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 24}, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(Declined, match=told.replace("(", r"\(")):
        sequary.load_transformers(tmp_path)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"config.json: no such file; give the folder that save_pretrained wrote"
    ):
        sequary.load_transformers(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="holds a list, not the settings of a model"):
        sequary.load_transformers(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="weights in pickles are not read"):
        sequary.load_transformers(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../other.safetensors"}}')
    with pytest.raises(ValueError, match=r"names '\.\./other.safetensors', which is not a file of this folder"):
        sequary.load_transformers(tmp_path)
