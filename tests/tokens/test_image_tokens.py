"""Tokenizers of images: what a code stands for, and how they learn through it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sequary.core.part import part
from sequary.core.place import Place
from sequary.tokens.codebook import Cosine, Euclidean
from sequary.tokens.image_conv import ConvCoder
from sequary.tokens.image_vae import ImageVAE
from sequary.tokens.multiscale_vq import shares
from sequary.tokens.vq import VQ


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(rows: int = 2) -> torch.Tensor:
    return torch.randn(rows, 3, 4, 4, generator=rng(), dtype=torch.float64)


def vq() -> VQ:
    torch.manual_seed(0)
    return part(VQ, **VQ.tiny).build(Place(16)).double()


def test_nearest_codes() -> None:
    book, other = Euclidean(3, vocab=20).double(), Cosine(3, vocab=20).double()
    z = torch.randn(2, 5, 3, generator=rng(), dtype=torch.float64)
    assert torch.equal(book.nearest(z), torch.cdist(z, book.table.weight.expand(2, -1, -1)).argmin(-1))
    cosines = F.cosine_similarity(z[..., None, :], other.table.weight, dim=-1)
    assert torch.equal(other.nearest(z), cosines.argmax(-1))


def test_codes_are_chosen_in_full_precision_under_autocast() -> None:
    book = Euclidean(8, vocab=4000)
    z = torch.randn(500, 8, generator=rng())
    plain = book.nearest(z)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = book.distances(z).argmin(-1)
        assert torch.equal(book.nearest(z), plain)
    assert not torch.equal(rounded, plain), "the toy is fine enough for rounding to matter"


def test_codes_decode_to_the_pictures_of_their_vectors() -> None:
    tokenizer = vq()
    codes = tokenizer.encode(images())
    assert codes.shape == (2, 4)
    rebuilt, _ = tokenizer.learn(images(), rng())
    torch.testing.assert_close(tokenizer.decode(codes), rebuilt)


def test_gradients_pass_straight_through_the_codes() -> None:
    """The picture's gradient at the encoder's output is that at the codes' vectors."""
    tokenizer = vq()
    z = tokenizer.features(images()).detach().requires_grad_()
    e = tokenizer.codebook(tokenizer.codebook.nearest(z)).detach().requires_grad_()
    (direct,) = torch.autograd.grad(tokenizer.picture(e).square().sum(), e)
    tokenizer.features = lambda images_BCHW: z
    (through,) = torch.autograd.grad(tokenizer.learn(images(), rng())[0].square().sum(), z)
    torch.testing.assert_close(through, direct)


def test_codebook_and_encoder_are_pulled_by_their_own_terms() -> None:
    tokenizer = vq()
    tokenizer.pulls = (1.0, 0.0)
    tokenizer.learn(images(), rng())[1]["quantiser"].backward()
    assert tokenizer.codebook.table.weight.grad is not None
    assert all(p.grad is None or not p.grad.any() for p in tokenizer.coder.encoder.parameters())
    tokenizer.zero_grad()
    tokenizer.pulls = (0.0, 1.0)
    tokenizer.learn(images(), rng())[1]["quantiser"].backward()
    assert not tokenizer.codebook.table.weight.grad.any()
    assert all(p.grad is not None and bool(p.grad.any()) for p in tokenizer.coder.encoder.parameters())


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images \(8, 8\) give a grid of \(4, 4\), not \(2, 2\)"):
        vq().encode(torch.zeros(1, 3, 8, 8, dtype=torch.float64))


def test_divergence_from_a_unit_normal() -> None:
    torch.manual_seed(0)
    vae = part(ImageVAE, **{**ImageVAE.tiny, "weight": 1.0}).build(Place(16)).double()
    mean, log_var = vae.coder.encoder(images()).chunk(2, 1)
    said = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    unit = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(
        vae.learn(images(), rng())[1]["kl"], torch.distributions.kl_divergence(said, unit).mean()
    )


def test_latents_are_scaled_and_scaled_back() -> None:
    torch.manual_seed(0)
    plain = part(ImageVAE, **ImageVAE.tiny).build(Place(16)).double()
    torch.manual_seed(0)
    scaled = part(ImageVAE, **{**ImageVAE.tiny, "scale": 3.0}).build(Place(16)).double()
    torch.testing.assert_close(scaled.encode(images()), 3 * plain.encode(images()))
    torch.testing.assert_close(scaled.decode(scaled.encode(images())), plain.decode(plain.encode(images())))


def test_odd_sides_survive_halving_and_doubling() -> None:
    coder = ConvCoder(4, channels=1, width=8, multiples=(1, 1, 1))
    latent = coder.encoder(torch.zeros(1, 1, 28, 28))
    assert latent.shape == (1, 4, 7, 7)
    assert coder.decoder(latent).shape == (1, 1, 28, 28)


def test_scales_share_refining_convolutions_from_coarse_to_fine() -> None:
    assert shares(6, 4) == [0, 0, 1, 2, 3, 3]
    assert shares(5, 1) == [0] * 5
    assert shares(5, 5) == [0, 1, 2, 3, 4]
