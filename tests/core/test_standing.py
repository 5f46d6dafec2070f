"""Statistics of BatchNorm that are estimated anew: their values, and what they leave alone."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from conftest import MadeImages, fitted, quiet_trainer, small_ring
from interrupted import assert_same
from made import make_digits
from torch import nn
from torch.testing import assert_close

from lightning_gans import GAN, BigGAN, CycleGAN, load
from lightning_gans.callbacks import GeneratorEMA, StandingStatistics
from lightning_gans.cli.main import main
from lightning_gans.core.priors import NormalPrior, latents_at
from lightning_gans.networks import (
    BigGANDiscriminator,
    BigGANGenerator,
    PatchDiscriminator,
    SmallTranslator,
)
from lightning_gans.sampling import (
    RefinedEvaluation,
    Refinement,
    Truncation,
    refine,
    standing_statistics,
)

DIGIT = (1, 28, 28)


def plain(**arguments):
    """A model whose BatchNorm reads the latents themselves."""
    chain = nn.Sequential(nn.BatchNorm1d(3, momentum=0.3), nn.Dropout(0.9), nn.Linear(3, 2))
    given = {"generator": chain, "prior": NormalPrior(3), "data_shape": (2,), **arguments}
    model = GAN(**given).double()
    model.generator[0].running_mean.fill_(7)
    return model


def statistics_of(generator):
    return [
        (part.running_mean.clone(), part.running_var.clone())
        for part in generator.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]


def test_they_are_the_means_over_batches_of_means_and_variances():
    model = plain()
    torch.manual_seed(1)
    batches = [(k + 1) * torch.randn(5, 3).double() + k for k in range(4)]
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    generator = standing_statistics(model, batches)
    norm = generator[0]
    assert_close(norm.running_mean, torch.stack([b.mean(0) for b in batches]).mean(0))
    assert_close(norm.running_var, torch.stack([b.var(0) for b in batches]).mean(0))
    # Neither those of all samples at once, nor a moving average.
    assert (norm.running_var - torch.cat(batches).var(0)).abs().min() > 0.1
    moved = 0.7 * 7 + 0.3 * batches[0].mean(0)
    assert (norm.running_mean - moved).abs().min() > 0.1
    assert not any(part.training for part in generator.modules())
    assert norm.momentum == 0.3
    assert torch.equal(torch.get_rng_state(), state)
    assert_same(dict(model.state_dict()), before)
    assert generator is not model.generator


def test_all_but_batch_norm_is_as_in_evaluation():
    """Spectral norm does not move, and nothing is dropped."""
    model = plain()
    model.generator = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(3), nn.Linear(3, 2)).double()
    batches = [torch.ones(4, 3).double(), 3 * torch.ones(4, 3).double()]
    norm = standing_statistics(model, batches)[1]
    assert_close(norm.running_mean, torch.full((3,), 2.0).double())
    assert_close(norm.running_var, torch.zeros(3).double())
    big = biggan()
    generator = standing_statistics(big, [big.sample_latent(4) for _ in range(2)])
    for name, value in big.generator.state_dict().items():
        if "running" not in name and "tracked" not in name:
            assert torch.equal(generator.state_dict()[name], value), name


def biggan(**arguments):
    torch.manual_seed(0)
    return BigGAN(
        data_shape=DIGIT,
        num_classes=10,
        prior=NormalPrior(12),
        generator=partial(BigGANGenerator, width=8, embedding_dim=4),
        discriminator=partial(BigGANDiscriminator, width=8),
        **arguments,
    )


def test_classes_follow_from_the_seed():
    model = biggan()
    latents = [model.sample_latent(8) for _ in range(2)]
    found = [statistics_of(standing_statistics(model, latents, seed)) for seed in (3, 3, 4)]
    assert_same(found[0], found[1])
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(found[0], found[2], strict=True))


def evaluated_with(model, *callbacks):
    """Statistics of the generator that samples were scored of, and the samples."""
    seen = []

    class Look(StandingStatistics):
        def on_validation_batch_end(self, trainer, pl_module, outputs, *_):
            seen.append((statistics_of(pl_module.evaluated.generator), outputs["fake"]))

    looks = Look(passes=3, batch_size=10)
    trainer = quiet_trainer(1, callbacks=[looks, *callbacks], limit_val_batches=1)
    trainer.validate(model, MadeImages(DIGIT), verbose=False)
    return seen[0]


def test_an_evaluation_has_those_of_its_own_first_latents(monkeypatch):
    """In whatever order the callbacks are, and of the average if there is one."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    model, average = biggan(), GeneratorEMA(0.9)
    fitted(model, MadeImages(DIGIT), max_steps=2, callbacks=[average])
    found, fake = evaluated_with(model, average)
    latents = latents_at(model.sample_latent, model.device, 5, 0, 30)
    model.evaluate_with(**average.networks)
    generator = standing_statistics(model, latents.split(10), 5)
    assert_close(found, statistics_of(generator))
    raw = statistics_of(average.networks["generator"])
    assert all(not torch.equal(a[0], b[0]) for a, b in zip(found, raw, strict=True))
    model.evaluate_with(generator=generator)
    labels = torch.tensor([0, 1])
    z = model.sample_latent(2)
    assert_close(model.evaluated.sample(z, labels), generator(z, labels))
    assert fake.isfinite().all()


def test_with_truncation_they_are_those_of_truncated_latents(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    model, refiner = biggan(), Truncation(0.3)
    fitted(model, MadeImages(DIGIT), max_steps=1)
    found, _ = evaluated_with(model, RefinedEvaluation(refiner))
    latents = Refinement(refiner, model, seed=5).latents(0, 30)
    assert latents.abs().max() <= 0.3
    assert_close(found, statistics_of(standing_statistics(model, latents.split(10), 5)))
    assert model.chosen is None
    assert model.evaluated.generator is model.generator


def test_training_goes_on_as_without(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    states = []
    for callbacks in ([], [StandingStatistics(2, 4)]):
        model, average = biggan(), GeneratorEMA(0.9)
        fitted(
            model,
            MadeImages(DIGIT),
            max_steps=4,
            callbacks=[average, *callbacks],
            limit_val_batches=1,
            val_check_interval=2,
            check_val_every_n_epoch=None,
        )
        states.append([dict(model.state_dict()), average.state_dict()])
    assert_same(*states)


# Command line


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standing")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_digits("data")
        flags = [
            *("fit", "--name", "run", "--model", "DCGAN", "--data", "MNIST"),
            *(
                "--data.data_dir",
                str(folder / "data"),
                "--data.batch_size",
                "4",
                "--data.num_eval_samples",
                "8",
            ),
            *("--model.generator.width", "4", "--model.discriminator.width", "4"),
            *("--trainer.max_steps", "1", "--pictures.enabled", "false"),
        ]
        main(flags)
    return folder / "runs" / "run" / "version_0"


def test_samples_have_those_of_truncated_latents(run, capsys):
    flags = ["--refine", "truncate", "--refine.threshold", "0.5", "--n", "4", "--seed", "3"]
    asked = ["sample", "--ckpt_path", str(run), *flags]
    main([*asked, "--out", "without.npy"])
    main([*asked, "--out", "with.npy", "--standing_passes", "2"])
    main([*asked, "--out", "again.npy", "--standing_passes", "2"])
    without, stood, again = (np.load(f"{n}.npy") for n in ("without", "with", "again"))
    assert np.array_equal(stood, again)
    assert np.abs(stood - without).max() > 0.01
    model = load(run)
    refined = refine(model, Truncation(0.5), 128, seed=3)
    model.generator = standing_statistics(model, refined.latent.split(64), 3)
    assert_close(torch.from_numpy(stood), model.sample(refined.latent[:4]))
    assert capsys.readouterr().out.count("refined by") == 3


def test_scores_say_that_they_have_them(run):
    main(
        [
            *("evaluate", "--ckpt_path", str(run), "--out", "scores.json"),
            *("--trainer.callbacks+=StandingStatistics", "--trainer.callbacks.passes", "2"),
        ]
    )
    with open("scores.json") as file:
        scores = json.load(file)
    assert scores["standing_statistics"] == {"passes": 2, "batch_size": 64}
    main(["evaluate", "--ckpt_path", str(run), "--out", "plain.json"])
    with open("plain.json") as file:
        without = json.load(file)
    assert "standing_statistics" not in without
    assert scores["scores"] != without["scores"]


# Bad input


def test_what_has_no_statistics_is_refused(run, capsys):
    message = "StandingStatistics: the generator, a MLPGenerator, has no BatchNorm layers"
    with pytest.raises(ValueError, match=message):
        fitted(GAN(data_shape=(2,)), small_ring(), callbacks=[StandingStatistics()])
    with pytest.raises(ValueError, match="model: the generator, a MLPGenerator, has no BatchNo"):
        standing_statistics(GAN(data_shape=(2,)), [torch.zeros(2, 2)])
    kind = CycleGAN(
        data_shape=DIGIT,
        translator=partial(SmallTranslator, width=4),
        discriminator=partial(PatchDiscriminator, width=4),
    )
    with pytest.raises(ValueError, match="StandingStatistics: a CycleGAN does not generate sam"):
        StandingStatistics().setup(quiet_trainer(1), kind, "fit")
    with pytest.raises(ValueError, match="passes must be at least 1, got 0"):
        StandingStatistics(passes=0)
    with pytest.raises(ValueError, match=r"batch_size must be at least 2 .*, got 1"):
        StandingStatistics(batch_size=1)
    with pytest.raises(SystemExit):
        main(["sample", "--ckpt_path", str(run), "--standing_passes", "0"])
    assert "standing_passes must be at least 1" in capsys.readouterr().err
    main(
        [
            *("fit", "--name", "mlp", "--model", "GAN", "--data", "GaussianRing"),
            *("--trainer.max_steps", "1", "--pictures.enabled", "false"),
            *("--trainer.limit_val_batches", "0"),
        ]
    )
    with pytest.raises(SystemExit):
        main(["sample", "--ckpt_path", "runs/mlp", "--standing_passes", "2"])
    assert "standing_passes: the generator, a MLPGenerator, has no" in capsys.readouterr().err
