"""Laws of heads: what they learn is the truth, what they draw is what they say."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.contracts import Head
from sequary.laws.case import HeadCase
from sequary.laws.law import SEEDS, Law, equal, finite, held

ROWS, STEPS, RATE = 64, 300, 0.02
LEVELS = (0.1, 0.5, 0.9)
DRAWS = 4000


def loss(case: HeadCase) -> None:
    """Not reduced, finite, and each row's loss reads the target of that row alone."""
    for seed in SEEDS:
        head, (hidden,) = _head(case, seed), case.args(case.build(seed), seed)
        target = case.target(head, hidden, seed)
        value = _loss(head, hidden, target)
        finite(value, "loss")
        held(
            value.shape in (target.shape, target.shape[:-1]),
            f"loss of shape {tuple(value.shape)} for a target of shape {tuple(target.shape)}: do not reduce it",
        )
        other = target.clone()
        other[1] = case.target(head, hidden, seed + 7)[0]
        equal(_loss(head, hidden, other)[0], value[0], "the loss of row 0 when the target of row 1 changes")


def truth(case: HeadCase) -> None:
    """Trained on draws from a known distribution, it says that distribution: its loss is least at the truth."""
    head = _head(case, 0)
    hidden = case.args(head, 0)[0][:1].expand(ROWS, *[-1] * (case.args(head, 0)[0].dim() - 1))
    shaped, rng = case.target(head, hidden, 0), torch.Generator().manual_seed(0)
    steps = int(case.subject.toy.get("steps", STEPS))
    optimiser = torch.optim.Adam(head.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        head.loss(hidden, _draw(head, hidden, shaped, rng), rng).mean().backward()
        optimiser.step()
        schedule.step()
    truth = _draw(head, hidden, shaped.new_empty(DRAWS), torch.Generator().manual_seed(2))
    with torch.no_grad():
        if shaped.is_floating_point():
            _says_real(head, hidden, truth)
        else:
            _says_symbols(head, hidden, truth, symbols_of(head, hidden))


def _says_real(head: Head, hidden: Tensor, truth: Tensor) -> None:
    said = 0
    for ask in (_near_mean, _near_quantiles, _near_samples):
        try:
            ask(head, hidden, truth)
        except NotImplementedError:
            continue
        said += 1
    held(said > 0, "a head over real values needs a mean, quantiles or samples")


def _near_mean(head: Head, hidden: Tensor, truth: Tensor) -> None:
    off = (head.mean(hidden).mean() - truth.mean()).abs().item()
    held(off < 0.1, f"its mean is {off:.2g} from the mean of the data it was trained on")


def _near_quantiles(head: Head, hidden: Tensor, truth: Tensor) -> None:
    said = head.quantiles(hidden, LEVELS)
    said = said.flatten(0, -2).mean(0)
    off = (said - torch.quantile(truth, torch.tensor(LEVELS, dtype=truth.dtype))).abs().max().item()
    held(off < 0.15, f"a quantile is {off:.2g} from that of the data it was trained on (deviation 0.5)")


def _near_samples(head: Head, hidden: Tensor, truth: Tensor) -> None:
    rng = torch.Generator().manual_seed(3)
    drawn = torch.cat([head.sample(hidden, rng).flatten() for _ in range(8)])
    held(
        abs((drawn.mean() - truth.mean()).item()) < 0.1,
        f"samples have mean {drawn.mean():.3g}, the data {truth.mean():.3g}",
    )
    held(
        abs((drawn.std() / truth.std()).item() - 1) < 0.25,
        f"samples have deviation {drawn.std():.3g}, the data {truth.std():.3g}",
    )


def _says_symbols(head: Head, hidden: Tensor, truth: Tensor, vocab: int) -> None:
    rng, share = torch.Generator().manual_seed(3), torch.bincount(truth, minlength=vocab) / len(truth)
    drawn = torch.cat([head.sample(hidden, rng).flatten() for _ in range(DRAWS // ROWS)])
    off = (torch.bincount(drawn, minlength=vocab) / len(drawn) - share).abs().max().item()
    held(off < 0.05, f"a symbol is drawn {off:.2g} from its share in the data it was trained on")


def symbols_of(head: Head, hidden: Tensor) -> int:
    """How many: the last axis of the logits."""
    return head(hidden).shape[-1]


def _draw(head: Head, hidden: Tensor, like: Tensor, rng: torch.Generator) -> Tensor:
    """Reals of mean 1 and deviation 0.5; symbols k with a chance that grows with k."""
    if like.is_floating_point():
        return 1 + 0.5 * torch.randn(like.shape, generator=rng, dtype=like.dtype)
    chance = torch.arange(1.0, 1 + symbols_of(head, hidden))
    return torch.multinomial(chance, like.numel(), replacement=True, generator=rng).view(like.shape)


def density(case: HeadCase) -> None:
    """exp(−loss) of all symbols sums to one, and draws have these chances (chi-square, fixed seed)."""
    head = _head(case, 0)
    hidden = case.args(head, 0)[0][:1]
    vocab, rng = symbols_of(head, hidden), torch.Generator().manual_seed(0)
    some = head.sample(hidden, rng)
    chance = torch.stack([(-_loss(head, hidden, torch.full_like(some, k))).exp() for k in range(vocab)], -1)
    equal(chance.sum(-1), torch.ones_like(chance[..., 0]), "exp(−loss) over all symbols sums to one", 1e-6)
    chance = chance.flatten(0, -2)[0]
    many = hidden.expand(DRAWS, *hidden.shape[1:])
    drawn = torch.bincount(head.sample(many, rng).view(DRAWS, -1)[:, 0], minlength=vocab)
    square = ((drawn - DRAWS * chance).square() / (DRAWS * chance)).sum().item()
    # The chi-square of k degrees of freedom is above k + 4 √(2k) + 4 less than once in a thousand.
    k = vocab - 1
    held(
        square < k + 4 * (2 * k) ** 0.5 + 4,
        f"samples do not have the chances of the loss: chi-square {square:.0f} for {k} degrees",
    )


def draws(case: HeadCase) -> None:
    """The same generator draws the same; torch's own is not touched."""
    head = _head(case, 0)
    (hidden,) = case.args(head, 0)
    before = torch.get_rng_state()
    first, again = (head.sample(hidden, torch.Generator().manual_seed(5)) for _ in range(2))
    held(torch.equal(before, torch.get_rng_state()), "draws from torch's global generator: use the one passed in")
    held(torch.equal(first, again), "the same generator draws another sample")


def degree(case: HeadCase) -> float:
    """Prediction and data times s: the loss times s to the power of `degree`."""
    head = _head(case, 0)
    (hidden,) = case.args(head, 0)
    target, plain = case.target(head, hidden, 0), head.forward
    value = _loss(head, hidden, target)
    power = head.degree
    assert power is not None
    head.forward = lambda hidden: 3.0 * plain(hidden)
    return equal(
        _loss(head, hidden, 3.0 * target), value * 3.0**power, f"loss of data times 3 against 3^{power} times the loss"
    )


def _head(case: HeadCase, seed: int) -> Head:
    head = case.build(seed)
    assert isinstance(head, Head)
    return head


def _loss(head: Head, hidden: Tensor, target: Tensor) -> Tensor:
    return head.loss(hidden, target, torch.Generator().manual_seed(1))


def learns(case: HeadCase) -> bool:
    return any(p.requires_grad for p in _head(case, 0).parameters())


def samples(case: HeadCase) -> bool:
    head = _head(case, 0)
    try:
        head.sample(case.args(head, 0)[0], torch.Generator().manual_seed(0))
    except NotImplementedError:  # of its own, or of the head that it holds
        return False
    return True


def symbols(case: HeadCase) -> bool:
    head = _head(case, 0)
    return samples(case) and not case.target(head, case.args(head, 0)[0], 0).is_floating_point()


def scaled(case: HeadCase) -> bool:
    return case.subject.cls.degree is not None


LAWS = (
    Law(name="loss", contract="head", catches="a reduced loss, a batch leak", check=loss),
    Law(name="truth", contract="head", catches="a loss that is least elsewhere", check=truth, applies=learns),
    Law(
        name="density",
        contract="head",
        catches="samples that are not what the loss says",
        check=density,
        applies=symbols,
    ),
    Law(
        name="draws", contract="head", catches="a draw that its generator does not decide", check=draws, applies=samples
    ),
    Law(name="degree", contract="head", catches="a degree that is not the loss's", check=degree, applies=scaled),
)
