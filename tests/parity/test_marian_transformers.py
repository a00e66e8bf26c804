"""transformers' MarianMTModel at sizes, depths and options of its configuration, with its weights copied over."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sequary.convert.declined import Declined
from sequary.convert.deep_encoder_shallow_decoder import load, replay

transformers = pytest.importorskip("transformers", reason="the oracle is in the development lock")

SETTINGS: dict[str, Any] = {
    "d_model": 12, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 3, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 10, "decoder_ffn_dim": 14, "vocab_size": 19, "pad_token_id": 18, "decoder_start_token_id": 18,
    "max_position_embeddings": 16, "activation_function": "relu",
}  # fmt: skip


@pytest.mark.parametrize("lengths", [(5, 7), (1, 1)], ids=str)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder_layers": 5, "decoder_layers": 3, "scale_embedding": True},
        {"d_model": 15, "decoder_attention_heads": 5, "activation_function": "gelu"},
        {"share_encoder_decoder_embeddings": False, "activation_function": "swish"},
        {"tie_word_embeddings": False, "encoder_layers": 0},
    ],
    ids=str,
)
def test_logits(changes: dict[str, Any], lengths: tuple[int, int]) -> None:
    torch.manual_seed(0)
    theirs = transformers.MarianMTModel(transformers.MarianConfig(**{**SETTINGS, **changes})).eval().double()
    for name, weight in theirs.named_parameters():
        if "embed_positions" not in name:
            torch.nn.init.normal_(weight, std=0.4)
    theirs.final_logits_bias.normal_()
    source, target = (torch.randint(0, 18, (2, n)) for n in lengths)
    real = torch.ones_like(source)
    real[0, (lengths[0] + 1) // 2 :] = 0
    config = theirs.config.to_dict()
    with torch.no_grad():
        wanted = theirs(input_ids=source, attention_mask=real, decoder_input_ids=target).logits
        ours = load("MarianMTModel", config, theirs.state_dict())
        found = replay(ours, {"src": source, "tgt": target, "src_mask": real}, config)
    assert float((found["logits"] - wanted).abs().max()) <= 1e-9 * max(1.0, float(wanted.abs().max()))


def test_other_activations_are_declined() -> None:
    theirs = transformers.MarianMTModel(transformers.MarianConfig(**{**SETTINGS, "activation_function": "tanh"}))
    with pytest.raises(Declined, match="activation=tanh"):
        load("MarianMTModel", theirs.config.to_dict(), theirs.state_dict())
