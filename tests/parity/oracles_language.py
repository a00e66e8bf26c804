"""Language models that transformers saves and `load_transformers` reads, in float32: theirs and our logits."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
import transformers

import sequary
from sequary.core.values import Batch
from tests.parity.side_by_side import Oracles, Pairs, noisy

ORACLES = Oracles("transformers")
TWO = {"vocab_size": 23, "num_hidden_layers": 2}
SMALL = TWO | {"hidden_size": 24, "intermediate_size": 40, "pad_token_id": 0}
SIX = {"num_attention_heads": 6, "num_key_value_heads": 2}
FOUR = {"num_attention_heads": 4, "num_key_value_heads": 4}
OLD = {"vocab_size": 23, "n_layer": 2, "n_embd": 24, "n_head": 3, "n_positions": 40}
SCALES = {"embedding_multiplier": 1.7, "residual_multiplier": 0.4, "attention_multiplier": 0.3, "logits_scaling": 2.5}
SETTINGS: dict[str, dict[str, Any]] = {
    "MambaForCausalLM": TWO | {"hidden_size": 24, "state_size": 5},
    "Mamba2ForCausalLM": TWO | {"hidden_size": 32, "num_heads": 4, "head_dim": 16, "state_size": 6, "n_groups": 2},
    "GPT2LMHeadModel": OLD,
    "LlamaForCausalLM": SMALL | SIX,
    "Qwen2ForCausalLM": SMALL | FOUR,
    "MistralForCausalLM": SMALL | SIX | {"sliding_window": 7, "head_dim": 8},
    "OlmoForCausalLM": SMALL | FOUR,
    "OPTForCausalLM": SMALL | {"word_embed_proj_dim": 24, "ffn_dim": 40, "max_position_embeddings": 40} | FOUR,
    "GemmaForCausalLM": SMALL | SIX | {"head_dim": 8},
    "Phi3ForCausalLM": SMALL | SIX,
    "SmolLM3ForCausalLM": SMALL | SIX | {"no_rope_layer_interval": 2},
    "GraniteForCausalLM": SMALL | SIX | SCALES,
    "StableLmForCausalLM": SMALL | {"hidden_size": 48} | SIX,
    "NemotronForCausalLM": SMALL | SIX,
    "CohereForCausalLM": SMALL | SIX | {"logit_scale": 0.3},
    "GPTNeoXForCausalLM": SMALL | {"hidden_size": 48} | SIX,
    "PhiForCausalLM": SMALL | {"hidden_size": 48} | FOUR,
    "GPTJForCausalLM": OLD | {"rotary_dim": 4},
}


def language(model: str, settings: dict[str, Any]) -> Pairs:
    name = model.removesuffix("ForCausalLM").removesuffix("LMHeadModel")
    theirs = noisy(getattr(transformers, model)(getattr(transformers, f"{name}Config")(**settings)))
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = sequary.load_transformers(folder)
    ids = torch.randint(23, (2, 37), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return [(theirs(ids, use_cache=False).logits, ours.head(ours(Batch(values=ids)).hidden))]


for _model, _settings in SETTINGS.items():
    ORACLES.of(_model, "load_transformers")(lambda model=_model, settings=_settings: language(model, settings))
