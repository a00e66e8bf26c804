"""The statistical top-k of transformers' Gemma3n, in float32."""

from __future__ import annotations

import pytest
import torch
from transformers.models.gemma3n.configuration_gemma3n import Gemma3nTextConfig
from transformers.models.gemma3n.modeling_gemma3n import Gemma3nTextMLP

from sequary.convert import spark_transformer


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.95])
def test_the_feed_forward_is_theirs(sparsity: float) -> None:
    torch.manual_seed(0)
    config = Gemma3nTextConfig(
        hidden_size=16, intermediate_size=48, num_hidden_layers=1, activation_sparsity_pattern=[sparsity]
    )
    theirs = Gemma3nTextMLP(config)
    arguments = {"hidden_size": 16, "intermediate_size": 48, "activation_sparsity": sparsity}
    ours = spark_transformer.load("Gemma3nTextMLP", arguments, theirs.state_dict())
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)
