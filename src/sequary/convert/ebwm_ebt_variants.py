"""EBT's options that our energy model does not have, as the source computes them: networks that are told the inner step
(`ebt_type`), other norms and activations of theirs, clamped or sharpened descents, the contrastive loss.

Functions of the source's weights under the source's names, since no recipe stands on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": F.silu, "relu": F.relu, "gelu": F.gelu, "elu": F.elu}
NORMS = ("rms", "layer", "none", "dyt")
TYPES = ("default", "time_embed", "adaln", "adaln_zero")
EPS = 1e-5


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """`w`: the source's state dict; `a`: its arguments, of which `ebt_norm` and `ebt_act_func` count for time_embed alone."""

    w: Mapping[str, Tensor]
    a: Mapping[str, Any]

    @property
    def told(self) -> bool:
        """Whether the inner step is a token of its own, before all others."""
        return self.a["ebt_type"] == "time_embed"

    @property
    def modulated(self) -> bool:
        return self.a["ebt_type"].startswith("adaln")

    def refine(self, ids: Tensor, logits: Tensor, jolts: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """(energies [B, S] before, logits [B, S, V] after) of each inner step."""
        path: list[tuple[Tensor, Tensor]] = []
        steps = self.a["mcmc_num_steps"]
        for step in range(steps):
            logits = logits if self.a.get("no_mcmc_detach", False) else logits.detach()
            if not logits.requires_grad:
                logits.requires_grad_()
            if jolts is not None:
                logits = logits + jolts[step] * self.w["langevin_dynamics_noise_std"].clamp(min=1e-6)
            candidate = logits.softmax(-1) if self._normed(step) else logits
            energy = self.energy(ids, candidate, step)
            kept = not self.a.get("truncate_mcmc", False) or step == steps - 1
            (slope,) = torch.autograd.grad(energy.sum(), candidate, create_graph=kept, retain_graph=True)
            logits = self._moved(candidate, slope)
            path.append((energy, logits))
        return path

    def _normed(self, step: int) -> bool:
        if not self.a.get("normalize_initial_condition", True):
            return False
        return step == 0 or not self.a.get("normalize_initial_condition_only_first_step", False)

    def _moved(self, candidate: Tensor, slope: Tensor) -> Tensor:
        if self.a.get("clamp_futures_grad", False):
            most = self.a["clamp_futures_grad_max_change"] / self.w["alpha"]
            slope = slope.clamp(min=-most, max=most)
        moved = candidate - self.w["alpha"].clamp(min=1e-4) * slope
        if self.a.get("absolute_clamp", 0.0):
            moved = moved.clamp(-self.a["absolute_clamp"], self.a["absolute_clamp"])
        return (
            moved / self.a["sharpen_predicted_distribution"]
            if self.a.get("sharpen_predicted_distribution", 0.0)
            else moved
        )

    def energy(self, ids: Tensor, candidate: Tensor, step: int) -> Tensor:
        """[B, S]: the true stream, with the step before it where it is a token, then the candidates."""
        shares = self.a.get("vocab_to_embed_uses_prob_dist", False) and self.a.get("normalize_initial_condition", True)
        table = self.w["embeddings.weight"]
        guess = candidate @ table if shares else candidate @ self.w["vocab_to_embed.weight"].T
        x, length = torch.cat((table[ids], guess), 1), ids.shape[1]
        time = None if self.a["ebt_type"] == "default" else self.w["transformer.time_embeddings.weight"][step]
        if self.told:
            assert time is not None
            x = torch.cat((time.expand(len(x), 1, -1), x), 1)
        positions, sees = self._layout(length)
        for layer in range(self.a["num_transformer_blocks"]):
            x = self._layer(x, f"transformer.layers.{layer}.", positions, sees, time)
        x = self._norm(x, "transformer.norm")[:, -length:]
        if not self.modulated:
            return F.linear(x, self.w["transformer.final_layer.weight"])[..., 0]
        shift, scale = self._modulation(time, "transformer.final_layer.", 2)
        return F.linear(x * (1 + scale) + shift, self.w["transformer.final_layer.linear.weight"])[..., 0]

    def _layout(self, length: int) -> tuple[Tensor, Tensor]:
        """Positions [T], and which [T, T] see which: candidate t stands one after token t, sees what it sees, and itself."""
        true = length + self.told
        positions = torch.cat((torch.arange(true), torch.arange(length) + 1 + self.told))
        past = torch.ones(true, true, dtype=torch.bool).tril()
        sees = torch.zeros(true + length, true + length, dtype=torch.bool)
        sees[:true, :true], sees[true:, :true] = past, past[true - length :]
        sees[true:, true:] = torch.eye(length, dtype=torch.bool)
        return positions, sees

    def _layer(self, x: Tensor, at: str, positions: Tensor, sees: Tensor, time: Tensor | None) -> Tensor:
        if not self.modulated:
            x = x + self._attention(self._norm(x, at + "attention_norm"), at + "attention.", positions, sees)
            return x + self._mlp(self._norm(x, at + "ffn_norm"), at + "feed_forward.")
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = self._modulation(time, at, 6)
        inner = self._norm(x, at + "attention_norm") * (1 + scale) + shift
        x = x + gate * self._attention(inner, at + "attention.", positions, sees)
        return x + gate_mlp * self._mlp(
            self._norm(x, at + "ffn_norm") * (1 + scale_mlp) + shift_mlp, at + "feed_forward."
        )

    def _modulation(self, time: Tensor | None, at: str, count: int) -> tuple[Tensor, ...]:
        assert time is not None
        return F.linear(F.silu(time), *(self.w[f"{at}adaLN_modulation.1.{n}"] for n in ("weight", "bias"))).chunk(count)

    def _attention(self, x: Tensor, at: str, positions: Tensor, sees: Tensor) -> Tensor:
        heads = self.a["multiheaded_attention_heads"]
        q, k, v = (F.linear(x, self.w[f"{at}w{n}.weight"]).unflatten(-1, (heads, -1)).transpose(1, 2) for n in "qkv")
        scores = _turned(q, positions) @ _turned(k, positions).transpose(-1, -2) * q.shape[-1] ** -0.5
        mixed = scores.masked_fill(~sees, -torch.inf).softmax(-1) @ v
        return F.linear(mixed.transpose(1, 2).flatten(2), self.w[at + "wo.weight"])

    def _mlp(self, x: Tensor, at: str) -> Tensor:
        act = ACTIVATIONS[self.a.get("ebt_act_func", "silu") if self.told else "silu"]
        gated = act(F.linear(x, self.w[at + "w1.weight"])) * F.linear(x, self.w[at + "w3.weight"])
        return F.linear(gated, self.w[at + "w2.weight"])

    def _norm(self, x: Tensor, at: str) -> Tensor:
        kind = self.a.get("ebt_norm", "rms") if self.told else "rms"
        if kind == "none":
            return x
        if kind == "layer":
            return F.layer_norm(x, x.shape[-1:], self.w[at + ".weight"], self.w[at + ".bias"])
        if kind == "dyt":
            y = (self.w[at + ".alpha"] * x).tanh() * self.w[at + ".weight"]
            return y + self.w[at + ".bias"] if at + ".bias" in self.w else y
        return F.rms_norm(x, x.shape[-1:], self.w[at + ".weight"], EPS)

    def contrast(self, ids: Tensor, target: Tensor, energy: Tensor) -> Tensor:
        """Cross entropy of "the true symbol has the lower energy"; symbol 0 is padding."""
        truth = F.one_hot(target, self.a["vocab_size"]).to(energy.dtype)
        value = self.a.get("discrete_contrastive_loss_true_logit_val", 0)
        if value:
            truth = (2 * truth - 1) * value
            truth = truth.softmax(-1) if self.a.get("normalize_initial_condition", True) else truth
        real = self.energy(ids, truth, self.a["mcmc_num_steps"] - 1)
        answer = torch.where(target == 0, -100, 0)
        return F.cross_entropy(-torch.stack((real, energy), -1).flatten(0, 1), answer.flatten())


def _turned(x_BHTK: Tensor, positions: Tensor) -> Tensor:
    """Rotary positions by neighbouring pairs."""
    width = x_BHTK.shape[-1]
    rates = 10000.0 ** (-torch.arange(0, width, 2, dtype=x_BHTK.dtype) / width)
    angle = positions[:, None] * rates
    pairs = torch.view_as_complex(x_BHTK.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)
