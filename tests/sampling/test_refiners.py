"""Refined samples: their laws where these are known, and what cannot be refined."""

from functools import partial
from math import erf, exp, expm1, log, pi, sqrt

import pytest
import torch
from conftest import SMALL, fitted, small_ring
from losses.vectors import P, Q, close
from scipy import stats
from torch import nn
from torch.testing import assert_close

from lightning_gans import CGAN, GAN, RSGAN, VAEGAN, WGAN, HingeGAN, load
from lightning_gans.augment import APA, InstanceNoise
from lightning_gans.callbacks import Evaluation, GeneratorEMA
from lightning_gans.core.priors import NormalPrior, UniformPrior
from lightning_gans.losses import FDivergence, NonSaturating
from lightning_gans.networks import MinibatchStdDev, MLPDiscriminator, MLPEncoder, MLPGenerator
from lightning_gans.sampling import (
    DDLS,
    DRS,
    MetropolisHastings,
    RefinedEvaluation,
    Truncation,
    refine,
)
from lightning_gans.sampling.calibration import isotonic_fit, logistic_fit
from lightning_gans.sampling.metropolis import log_acceptance
from lightning_gans.sampling.rejection import acceptance_logits

RATIO = (P / Q).log()
REAL = 1 + torch.randn(20_000, 1, generator=torch.Generator().manual_seed(7)) / 2
SHORT = [
    DRS(burn_in=500),
    MetropolisHastings(steps=3),
    DDLS(steps=2),
    Truncation(),
]
PLAIN = DRS(calibration=None)


class Exact(nn.Module):
    """The logit of N(1, 1/4) against N(0, 1), times a scale and shifted."""

    def __init__(self, scale=1.0, shift=0.0):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x):
        x = x[:, 0]
        return self.scale * (log(2) - 2 * (x - 1) ** 2 + x**2 / 2) + self.shift


def toy(**arguments):
    """A generator of N(0, 1) and the best discriminator against N(1, 1/4)."""
    parts = {"generator": nn.Identity(), "discriminator": Exact(), "prior": NormalPrior(1)}
    return GAN(data_shape=(1,), **{**parts, **arguments})


def p_value(samples, sd=0.5):
    """Returns how likely samples of N(1, sd^2) would be as far from it as some are."""
    return stats.kstest(samples[:, 0].double().numpy(), stats.norm(1, sd).cdf).pvalue


# The formulas on three points


def test_rejection_accepts_as_often_as_the_ratio_is_to_its_largest():
    accepted = acceptance_logits(RATIO, RATIO.max(), 0).sigmoid()
    assert_close(accepted, torch.tensor([1, 0.4, 0.16], dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(Q * accepted / (Q @ accepted), P, rtol=0, atol=1e-12)
    assert float(Q @ accepted) == close(0.4)
    found = acceptance_logits(RATIO, RATIO.max()).tolist()
    assert found == close([-log(-expm1(-1e-6)), -0.4054657748, -1.6582282671])


def test_the_chain_stays_in_the_distribution_of_the_data():
    moves = log_acceptance(RATIO[:, None], RATIO[None]).exp() * Q
    moves += torch.diag(1 - moves.sum(1))
    assert_close(P @ moves, P, rtol=0, atol=1e-15)
    eigenvalues = torch.linalg.eigvals(moves).real.sort(descending=True).values
    assert eigenvalues[:2].tolist() == close([1, 0.6])
    unbalanced = (Q @ moves - Q).abs().max()
    assert unbalanced > 0.1
    far = torch.tensor([800.0, -800.0], dtype=torch.float64)  # probabilities of 1 and 0
    assert log_acceptance(far, far.flip(0)).tolist() == [-1600.0, 0.0]


def test_a_logistic_fit_is_that_of_largest_likelihood():
    draw = torch.Generator().manual_seed(0)
    real = 3 + 2 * torch.randn(4000, generator=draw, dtype=torch.float64)
    fake = -1 + 2 * torch.randn(20_000, generator=draw, dtype=torch.float64)
    slope, shift = logistic_fit(real, fake)  # log ratio of the two: x - 1
    assert slope == pytest.approx(1, abs=0.05)
    assert shift == pytest.approx(-1, abs=0.1)
    rest = [(a * slope + shift).sigmoid() for a in (real, fake)]
    assert float(rest[0].mean() + rest[1].mean()) == pytest.approx(1, abs=1e-3)
    apart = logistic_fit(torch.full((50,), 2.0).double(), torch.full((50,), -2.0).double())
    assert apart == pytest.approx((log(51) / 2, 0), abs=1e-5)  # Platt's targets: 51 to 1


def test_an_isotonic_fit_pools_neighbours_that_fall():
    """Real samples at d of 0, 1, 2, 3, 3, and generated ones at 0, 0, 1, 2, -1."""
    real, fake = torch.tensor([0.0, 1, 2, 3, 3]), torch.tensor([0.0, 0, 1, 2, -1])
    fit = isotonic_fit(real.double(), fake.double())
    # Blocks of -1; 0; 1 and 2, which have the same share; 3. Half a sample is added to each side.
    at = torch.tensor([-9.0, -1, -0.5, 0, 1.5, 3, 9], dtype=torch.float64)
    ends = [log(0.5 / 1.5), log(1.5 / 2.5), log(2.5 / 2.5), log(2.5 / 0.5)]
    expected = [ends[0], ends[0], (ends[0] + ends[1]) / 2, *ends[1:], ends[3]]
    assert fit(at).tolist() == close(expected)
    falling = isotonic_fit(fake.double(), real.double())
    assert falling(at).tolist() == close([0.0] * 7)


@pytest.mark.parametrize("number", [20, 50, 500])
def test_an_isotonic_fit_rises_where_blocks_are_small(number):
    """Half a sample draws a small block further towards 0 than the larger one below it."""
    for seed in range(10):
        x = torch.randn(2, number, generator=torch.Generator().manual_seed(seed)).double()
        fit = isotonic_fit(0.5 - x[0], -0.5 - x[1])  # the log ratio of N(0, 1) to N(1, 1)
        values = fit(torch.linspace(-6, 6, 2001).double())
        assert torch.equal(values, values.cummax(0).values)
        assert values[-1] > values[0] + 1
    real, fake = torch.tensor([0.0] * 100 + [2.0]), torch.tensor([0.0] * 2 + [-1.0] * 99)
    fit = isotonic_fit(real.double(), fake.double())
    low, middle, high = fit(torch.tensor([-1.0, 0, 2]).double()).tolist()
    # log(100.5 / 2.5) and log(1.5 / 0.5) are pooled, by how much of both sides the blocks have.
    weights = 100 / 101 + 2 / 101, 1 / 101
    pooled = (weights[0] * log(100.5 / 2.5) + weights[1] * log(3)) / sum(weights)
    assert [low, middle, high] == close([log(0.5 / 99.5), pooled, pooled])


# The laws of samples


@pytest.mark.parametrize(
    ("threshold", "variance", "share"),
    [
        (0.5, 0.0805891546, 0.3829249225),
        (1, 0.2911250948, 0.6826894921),
        (2, 0.7737413035, 0.9545),
    ],
)
def test_truncated_latents_are_drawn_anew_and_not_moved_to_the_edge(threshold, variance, share):
    found = refine(toy(prior=NormalPrior(16), generator=nn.Flatten()), Truncation(threshold), 5000)
    entries = found.latent.flatten().double()
    number = len(entries)
    assert entries.abs().max() <= threshold
    assert (entries.abs() == threshold).sum() == 0
    assert abs(entries.mean()) < 5 * sqrt(variance / number)
    assert abs(entries.var() - variance) < 5 * sqrt(2 / number) * variance
    assert abs(found.acceptance - share) < 5 * sqrt(share * (1 - share) / number)
    law = stats.truncnorm(-threshold, threshold)
    assert stats.kstest(entries.numpy(), law.cdf).pvalue > 0.01
    density = exp(-(threshold**2) / 2) / sqrt(2 * pi)
    assert share == pytest.approx(erf(threshold / sqrt(2)), abs=1e-5)
    assert variance == pytest.approx(1 - 2 * threshold * density / share, abs=1e-5)


def test_rejection_draws_from_the_data_if_the_discriminator_is_the_best():
    found = refine(toy(), PLAIN, 3000)
    assert p_value(found.samples) > 0.01
    largest = 2 * exp(2 / 3)  # at 4 / 3
    assert found.acceptance == pytest.approx(1 / largest, rel=0.05)
    shifted = refine(toy(discriminator=Exact(shift=3.0)), PLAIN, 3000)
    assert_close(shifted.samples, found.samples)  # a shift is of no consequence
    assert p_value(refine(toy(), DRS(95, calibration=None), 3000).samples) < 1e-10
    twisted = toy(discriminator=Exact(scale=4.0))
    assert p_value(refine(twisted, PLAIN, 1000).samples) < 1e-10
    assert p_value(refine(twisted, DRS(), 1000, real=REAL).samples) > 0.01


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_chains_draw_from_the_data_once_calibrated(scale):
    gan = toy(discriminator=Exact(scale))
    for calibration in ("isotonic", "logistic", None):
        found = refine(gan, MetropolisHastings(30, calibration), 1500, real=REAL)
        assert (p_value(found.samples) > 0.01) == (scale == 1 or calibration is not None)


def test_a_chain_that_never_moves_starts_anew_at_a_generated_sample():
    far = torch.full((20, 1), 4 / 3)  # where the ratio is largest

    class Sure(nn.Module):
        def forward(self, x):
            return 1000 * (x[:, 0] == far[0]).double() + x[:, 0]

    gan = toy(discriminator=Sure())
    found = refine(gan, MetropolisHastings(5, None), 2000, real=far)
    assert (found.samples != far[0]).all()
    assert found.samples.mean() > 0.7  # the second chain moves
    assert found.acceptance > 0.1


def test_langevin_has_the_variance_of_its_step_size():
    found = refine(toy(), DDLS(60, 0.05, calibrated=False), 2000)
    variance = 0.25 / (1 - 0.05 / (4 * 0.25))
    assert variance == close(0.2631578947)
    assert float(found.samples.mean()) == pytest.approx(1, abs=5 * sqrt(variance / 2000))
    assert float(found.samples.var()) == pytest.approx(variance, rel=5 * sqrt(2 / 2000))
    assert p_value(found.samples, sqrt(variance)) > 0.01
    assert found.acceptance is None
    flat = toy(discriminator=Exact(scale=0.25))
    found = refine(flat, DDLS(60, 0.05), 1000, real=REAL)
    assert float(found.samples.var()) == pytest.approx(variance, rel=0.3)


# What samples depend on


@pytest.mark.parametrize("refiner", SHORT, ids=repr)
def test_samples_depend_on_the_seed_and_their_place_only(refiner):
    gan = GAN(**SMALL)
    real = small_ring().sample(20, torch.Generator().manual_seed(0))
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    many, few, other = (
        refine(gan, refiner, n, real=real, seed=seed) for n, seed in ((120, 3), (30, 3), (30, 4))
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(many.latent[:30], few.latent)
    assert not torch.equal(other.latent, few.latent)
    assert len(many.samples.unique(dim=0)) == 120
    assert_close(few.samples, gan.sample(few.latent))


def test_networks_are_read_in_evaluation_mode_and_left_in_theirs():
    layers = nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2)
    generator, discriminator = nn.Sequential(*layers), nn.Sequential(nn.Dropout(), nn.Linear(2, 1))
    gan = GAN(data_shape=(2,), generator=generator, discriminator=discriminator)
    gan.train()
    before = {name: value.clone() for name, value in gan.state_dict().items()}
    real = torch.randn(20, 2)
    first, second = (refine(gan, DDLS(steps=3), 20, real=real).samples for _ in "ab")
    assert torch.equal(first, second)
    assert all(part.training for part in gan.modules())
    assert all(torch.equal(value, before[name]) for name, value in gan.state_dict().items())
    assert all(weight.grad is None for weight in gan.parameters())


@pytest.mark.parametrize("loss", [NonSaturating(), FDivergence("hellinger"), FDivergence("kl")])
def test_the_ratio_is_the_one_of_the_loss(loss):
    """The best outputs with a loss are half the log ratio, or 1 more."""
    scale, shift = {"hellinger": (0.5, 0.0), "kl": (1.0, 1.0)}.get(
        getattr(loss, "kind", ""), (1.0, 0.0)
    )
    gan = toy(loss=loss, discriminator=Exact(scale, shift))
    assert_close(refine(gan, PLAIN, 50).samples, refine(toy(), PLAIN, 50).samples)


# What is scored


class Kept(Evaluation):
    """Keeps what it scores."""

    def _add(self, outputs, stage):
        self.seen = [*getattr(self, "seen", ()), outputs["fake"]]
        super()._add(outputs, stage)


@pytest.mark.parametrize("refiner", SHORT, ids=repr)
def test_refined_samples_are_scored_in_place_of_the_others(refiner):
    gan = GAN(**SMALL)
    average = GeneratorEMA(decay=0.9)
    fitted(gan, max_steps=3, callbacks=[average])
    data = small_ring(num_eval_samples=130)
    kept = Kept()
    trainer = fitted(gan, data, max_steps=3, callbacks=[average, kept, RefinedEvaluation(refiner)])
    trainer.limit_val_batches = 1.0
    trainer.validate(gan, data, verbose=False)
    real = data.evaluation_set(1)
    found = refine(gan, refiner, 130, real=real, seed=gan.seed)
    if refiner.reads_discriminator:
        assert_close(torch.cat(kept.seen), found.samples)
    else:
        gan.generator = average.networks["generator"]
        assert_close(torch.cat(kept.seen), gan.sample(found.latent))


# What is refused


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (partial(WGAN, **SMALL), "loss: Wasserstein does not make the outputs log density ratios"),
        (partial(HingeGAN, **SMALL), "loss: Hinge does not"),
        (partial(RSGAN, **SMALL), "loss: RelativisticPaired does not"),
        (partial(GAN, **SMALL, loss=NonSaturating(0.9)), "loss: with real_target 0.9"),
        (partial(CGAN, data_shape=(2,), num_classes=3), "model: a CGAN has classes"),
    ],
)
def test_what_tells_no_ratio_is_refused(model, message):
    gan = model()
    real = torch.zeros(9, 2)
    for refiner in SHORT[:3]:
        with pytest.raises(ValueError, match=message):
            refine(gan, refiner, 3, real=real)
    if gan.num_classes is None:
        assert len(refine(gan, Truncation(), 3).samples) == 3


def test_a_discriminator_that_is_not_there_or_reads_several_samples_is_refused(tmp_path):
    gan = GAN(data_shape=(2,))
    path = tmp_path / "generator.safetensors"
    path.write_bytes(gan.export("generator"))
    opened = load(path, averaged=False)
    with pytest.raises(ValueError, match="the file that it was loaded from has no discriminator"):
        refine(opened, PLAIN, 3)
    assert len(refine(opened, Truncation(), 3).samples) == 3

    class Together(nn.Module):
        def forward(self, x):
            return (x - x.mean(0)).sum(1)

    class Patches(nn.Module):
        def forward(self, x):
            return x[:, None, None]

    for discriminator, message in ((Together(), "depending on the rest"), (Patches(), "patches")):
        with pytest.raises(ValueError, match=message):
            refine(GAN(**{**SMALL, "discriminator": discriminator}), PLAIN, 3)
    layers = nn.Linear(2, 8), MinibatchStdDev(8), nn.Linear(9, 1)
    grouped = GAN(data_shape=(2,), discriminator=nn.Sequential(*layers))
    with pytest.raises(ValueError, match="its discriminator compares the samples of a batch"):
        DDLS().check(grouped)
    gan.pack_size = 2
    with pytest.raises(ValueError, match="its discriminator judges packs of 2 samples"):
        refine(gan, PLAIN, 3)
    encoder = partial(MLPEncoder, stochastic=True)
    networks = {"generator": MLPGenerator, "discriminator": MLPDiscriminator, "encoder": encoder}
    for augment in (APA(), InstanceNoise(0.1)):
        message = f"has learnt with {type(augment).__name__}, which changes the distributions"
        with pytest.raises(ValueError, match=message):
            refine(GAN(**SMALL, augment=augment), PLAIN, 3)
    assert len(refine(toy(augment=InstanceNoise(0.0)), PLAIN, 3).samples) == 3
    with pytest.raises(ValueError, match="of a VAEGAN has learnt against other samples beside"):
        refine(VAEGAN(data_shape=(2,), **networks), PLAIN, 3)


def test_arguments_out_of_range_are_refused():
    for make, message in (
        (partial(Truncation, 0.0), "threshold must be finite and above 0, got 0.0"),
        (partial(DRS, percentile=101.0), "percentile must be at least 0 and at most 100, got 101"),
        (partial(DRS, burn_in=1), "burn_in must be at least 2, got 1"),
        (
            partial(DRS, calibration="mean"),
            "calibration must be isotonic or logistic, or None, got",
        ),
        (partial(MetropolisHastings, 0), "steps must be at least 1, got 0"),
        (partial(DDLS, 0), "steps must be at least 1, got 0"),
        (partial(DDLS, step_size=float("inf")), "step_size must be finite and above 0, got inf"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    uniform = GAN(**SMALL, prior=UniformPrior(4))
    for refiner in (Truncation(), DDLS(calibrated=False)):
        with pytest.raises(ValueError, match="prior: it must be a NormalPrior, since"):
            refine(uniform, refiner, 3)
    gan = GAN(**SMALL)
    with pytest.raises(ValueError, match="real is missing: MetropolisHastings needs"):
        refine(gan, MetropolisHastings(), 3)
    for shape in ((9, 3), (2, 2)):
        with pytest.raises(ValueError, match=r"real must have shape \(N, 2\) with N at least 8"):
            refine(gan, MetropolisHastings(), 3, real=torch.zeros(shape))
    spoilt = torch.zeros(9, 2).index_fill(0, torch.tensor([4]), float("nan"))
    for real, message in (
        (spoilt, r"finite values for \w+, got 2 that are not"),
        (spoilt > 0, r"floating-point values for \w+, got torch.bool"),
    ):
        for refiner in (MetropolisHastings(), DRS(), DDLS()):
            with pytest.raises(ValueError, match=f"real must have {message}"):
                refine(gan, refiner, 3, real=real)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        refine(gan, Truncation(), 0)


def test_work_that_would_not_end_or_runs_away_is_refused():
    class Rare(nn.Module):
        def forward(self, x):
            return 1000 * x[:, 0]

    with pytest.raises(
        ValueError, match=r"lets rejection keep .* Use percentile 95, or Metropolis"
    ):
        refine(toy(discriminator=Rare()), DRS(None, 1000, None), 3)
    assert len(refine(toy(discriminator=Rare()), DRS(95, 1000, None), 3).samples) == 3

    class Cubed(nn.Module):
        def forward(self, x):
            return x[:, 0] ** 4

    with pytest.raises(ValueError, match=r"latents ran away in steps of 0\.5"):
        refine(toy(discriminator=Cubed()), DDLS(30, 0.5, calibrated=False), 3)
