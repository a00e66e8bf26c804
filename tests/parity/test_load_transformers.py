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
    ("Mistral", {**SMALL, "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 7}),
    ("Mistral", {**SMALL, "hidden_size": 24, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": None}),
    ("Gemma", {**SMALL, "hidden_size": 20, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 8, "attention_bias": True}),
    ("Gemma", {**SMALL, "hidden_size": 24, "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 8, "intermediate_size": 30}),
    ("Granite", {**SMALL, "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 3, "intermediate_size": 30,
                 "embedding_multiplier": 1.7, "residual_multiplier": 0.4, "attention_multiplier": 0.3, "logits_scaling": 2.5}),
    ("Granite", {**SMALL, "hidden_size": 24, "num_attention_heads": 2, "attention_bias": True, "intermediate_size": 30,
                 "attention_multiplier": 0.2, "residual_multiplier": 0.7, "tie_word_embeddings": True}),
    ("SmolLM3", {**SMALL, "num_hidden_layers": 3, "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2,
                 "intermediate_size": 30, "no_rope_layer_interval": 2, "pad_token_id": 0}),
    ("Phi3", {**SMALL, "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 30, "pad_token_id": 0}),
    ("Phi3", {**SMALL, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 30, "pad_token_id": 0, "sliding_window": 5}),
    ("StableLm", {**SMALL, "hidden_size": 48, "num_attention_heads": 3, "num_key_value_heads": 1, "intermediate_size": 30}),
    ("StableLm", {**SMALL, "hidden_size": 24, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 30,
                  "use_qkv_bias": True,
                  "rope_parameters": {"rope_type": "default", "rope_theta": 300, "partial_rotary_factor": 1.0}}),
    ("Nemotron", {**SMALL, "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 30}),
    ("Nemotron", {**SMALL, "hidden_size": 24, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 30,
                  "mlp_bias": True, "attention_bias": True}),
    ("Cohere", {**SMALL, "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 30,
                "logit_scale": 0.3}),
    ("Cohere", {**SMALL, "hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 30, "attention_bias": True}),
    ("GPTNeoX", {**SMALL, "hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 30}),
    ("GPTNeoX", {**SMALL, "hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 30, "use_parallel_residual": False,
                 "attention_bias": False,
                 "rope_parameters": {"rope_type": "default", "rope_theta": 300, "partial_rotary_factor": 0.5}}),
    ("Phi", {**SMALL, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 30}),
    ("Phi", {**SMALL, "hidden_size": 48, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 40,
             "rope_parameters": {"rope_type": "default", "rope_theta": 300, "partial_rotary_factor": 1.0}}),
    ("GPTJ", {"vocab_size": 23, "n_layer": 2, "n_embd": 24, "n_head": 2, "n_positions": 40, "rotary_dim": 4}),
    ("GPTJ", {"vocab_size": 23, "n_layer": 1, "n_embd": 24, "n_head": 3, "n_positions": 40, "rotary_dim": 8, "n_inner": 30}),
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
        (
            {"model_type": "bert"},
            "model_type='bert'; known are cohere, gemma, gpt2, gpt_neox, gptj, granite, llama, mamba, mamba2, mistral, "
            "nemotron, olmo, opt, phi, phi3, qwen2, smollm3, stablelm",
        ),
        ({"hidden_act": "gelu"}, "hidden_act='gelu': only 'silu' is built"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "only plain rotary positions are built"),
        ({"mlp_bias": True}, "mlp_bias=True: only False is built"),
    ],
)
def test_what_is_not_built_is_declined_by_name(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    saved("Llama", {**SMALL, "hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 24}, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(Declined, match=told.replace("(", r"\(")):
        sequary.load_transformers(tmp_path)


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("Cohere", {"use_qk_norm": True}, "use_qk_norm=True: only False is built"),
        ("Gemma", {"hidden_act": "gelu"}, "hidden_act='gelu': only 'gelu_pytorch_tanh' is built"),
        ("GPTJ", {"activation_function": "relu"}, "activation_function='relu': only 'gelu_new' is built"),
        ("GPTNeoX", {"hidden_act": "relu"}, "hidden_act='relu': only 'gelu' is built"),
        ("Nemotron", {"hidden_act": "gelu"}, "hidden_act='gelu': only 'relu2' is built"),
        (
            "Phi",
            {"hidden_size": 24, "num_attention_heads": 4},
            "partial_rotary_factor: 3 of 6 features of a head would turn in pairs",
        ),
        ("Phi", {"qk_layernorm": True}, "qk_layernorm=True: only False is built"),
        ("Phi3", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor=0.5: only 1.0 is built"),
        ("Qwen2", {"use_sliding_window": True}, "use_sliding_window=True: only False is built"),
        ("SmolLM3", {"use_sliding_window": True}, "use_sliding_window=True: only False is built"),
        ("StableLm", {"qk_layernorm": True}, "qk_layernorm=True: only False is built"),
        ("StableLm", {"use_parallel_residual": True}, "use_parallel_residual=True: only False is built"),
    ],
)
def test_each_class_declines_its_own(kind: str, change: dict[str, Any], told: str, tmp_path: Path) -> None:
    saved(kind, next(settings for name, settings in CASES if name == kind), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(Declined, match=told):
        sequary.load_transformers(tmp_path)


def test_a_window_with_biases_is_declined(tmp_path: Path) -> None:
    saved("Llama", {**SMALL, "hidden_size": 16, "num_attention_heads": 2, "attention_bias": True}, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"sliding_window": 4}))
    with pytest.raises(Declined, match="sliding_window=4: with biases"):
        sequary.load_transformers(tmp_path)


@torch.no_grad()
def test_the_names_of_pythias_own_files(tmp_path: Path) -> None:
    """Its released checkpoints have other names for the output, the share that turns and the base than transformers writes now."""
    from safetensors.torch import save_file

    rope = {"rope_type": "default", "rope_theta": 300, "partial_rotary_factor": 0.5}
    settings = {**SMALL, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 30, "rope_parameters": rope}
    theirs = saved("GPTNeoX", settings, tmp_path / "new")
    old = tmp_path / "old"
    old.mkdir()
    config = json.loads((tmp_path / "new" / "config.json").read_text(encoding="utf-8"))
    del config["rope_parameters"]
    (old / "config.json").write_text(json.dumps({**config, "rotary_pct": 0.5, "rotary_emb_base": 300}))
    state: dict[str, Tensor] = theirs.state_dict()
    state["embed_out.weight"] = state.pop("lm_head.weight")
    save_file(state, old / "model.safetensors")
    ours, ids = sequary.load_transformers(old), torch.arange(20)[None]
    assert closeness(ours.head(ours(Batch(values=ids)).hidden), theirs(ids, use_cache=False).logits) < 1e-5


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
