"""Training on a GPU, against the CPU in double precision, closed forms and the same run in eager.

The generators of the two devices give other numbers for the same seed, so a comparison of devices
draws all of them on the CPU.
"""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, SMALL_CVAE, MadeImages, Rows, fitted, same, small_ring, snapshot
from lightning.pytorch.plugins import MixedPrecision
from reference import SEED
from reference.games import CASES, GAMES
from reference.loop import play, tolerance
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close

from lightning_gans import CVAEGAN, DCGAN, WDCGAN, WDCGANGP, WGAN, WGANGP
from lightning_gans.callbacks import GeneratorEMA
from lightning_gans.core.timing import MEASURED
from lightning_gans.networks import DCGANCritic, DCGANDiscriminator, DCGANGenerator, MLPGenerator

pytestmark = pytest.mark.gpu

GPU = {"accelerator": "gpu", "devices": 1}
CPU = {"accelerator": "cpu"}


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


class DrawnOnTheCPU(TorchFunctionMode):
    """Draws random numbers on the CPU and moves them to where they are wanted."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.rand_like, torch.randn_like):
            (like,) = args
            return func(torch.empty(like.shape, dtype=like.dtype)).to(like.device)
        if func in (torch.rand, torch.randn, torch.randint):
            device = kwargs.get("device") or "cpu"
            return func(*args, **{**kwargs, "device": "cpu"}).to(device)
        return func(*args, **kwargs)


# Double precision, against the CPU. Sums in another order differ by 1e-16 or so. A step of Adam
# scales a gradient by lr / eps at most, here by 1e6: no weight may be off by more than 1e-9.


@pytest.mark.parametrize(("name", "n_critic"), CASES)
def test_every_game_is_that_of_the_plain_loop_on_the_cpu(name, n_critic, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    game = GAMES[name]
    model = game.model(n_critic)
    with DrawnOnTheCPU():
        arguments = {"precision": "64-true", "callbacks": game.callbacks, **GPU}
        fitted(model, game.data(), max_steps=5, **arguments)
    expected = play(game, rounds=5, n_critic=n_critic, ranks=1)
    for key, value in expected.items():
        assert_close(model.state_dict()[key], value, rtol=0, atol=tolerance(game, key, 1e-9))


NARROW = {
    "generator": partial(DCGANGenerator, width=4),
    "discriminator": partial(DCGANDiscriminator, width=4),
}
CRITIC = {**NARROW, "discriminator": partial(DCGANCritic, width=4)}


@pytest.mark.parametrize(
    ("variant", "networks"),
    [(DCGAN, NARROW), (WDCGAN, NARROW), (WDCGANGP, CRITIC), (CVAEGAN, SMALL_CVAE)],
)
def test_convolutions_and_images_train_as_on_the_cpu(variant, networks):
    def trained(device):
        torch.manual_seed(SEED)
        model = variant(data_shape=(1, 16, 16), **networks)
        before = snapshot(model)
        with DrawnOnTheCPU():
            fitted(model, MadeImages(), max_steps=3, precision="64-true", **device)
        assert not same(before, snapshot(model))
        return model.state_dict()

    expected, found = trained(CPU), trained(GPU)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert_close(found[key], value, rtol=0, atol=1e-9)


# Mixed precision


class Dtypes(pl.Callback):
    """Notes the types of what a generator makes in training."""

    def __init__(self):
        self.found = set()

    def on_train_start(self, trainer, model):
        self.hook = model.generator.register_forward_hook(self.note)

    def note(self, generator, latents, fakes):
        self.found.add((fakes.device.type, fakes.dtype))

    def on_train_end(self, trainer, model):
        self.hook.remove()


def way(**precision):
    """Returns the way that all weights have gone in ten rounds, and the types of the fakes."""
    torch.manual_seed(SEED)
    slow = partial(torch.optim.SGD, lr=1e-3)  # a step of Adam depends on the gradient's sign most
    model = WGANGP(data_shape=(2,), n_critic=2, optimizer_g=slow, optimizer_d=slow)
    before = torch.cat([weight.flatten() for weight in snapshot(model)])
    dtypes = Dtypes()
    data = small_ring(batch_size=64)
    fitted(model, data, max_steps=10, callbacks=[dtypes], **precision, **GPU)
    return torch.cat([weight.flatten() for weight in snapshot(model)]) - before, dtypes.found


@pytest.mark.parametrize(
    ("precision", "dtype", "least", "most"),
    [
        ("bf16-mixed", torch.bfloat16, 1e-3, 0.2),
        ("16-mixed", torch.float16, 3e-5, 0.025),
    ],
)
def test_mixed_precision_goes_nearly_the_way_of_single_precision(precision, dtype, least, most):
    """Autocast rounds the passes, to 2^-8 in bf16 and 2^-11 in fp16.

    The critic's gradient is a difference of means, which makes that a few times as much. The ways
    of two seeds differ by more than 1.
    """
    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0) if dtype == torch.float16 else None
    single, single_dtypes = way(precision="32-true")
    mixed, dtypes = way(plugins=[MixedPrecision(precision, "cuda", scaler)])
    assert single_dtypes == {("cuda", torch.float32)}
    assert dtypes == {("cuda", dtype)}
    assert least < (mixed - single).norm() / single.norm() < most
    assert scaler is None or scaler.get_scale() == 1024  # no step was skipped


def test_the_scaler_of_fp16_skips_an_update_that_overflows_and_grows_again():
    """An uncounted step of the discriminator overflows, the fourth of nine in three rounds."""

    class Overflowing(WGAN):
        def discriminator_loss(self, samples):
            (term,) = super().discriminator_loss(samples).values()
            self.calls = getattr(self, "calls", 0) + self.training  # it is tried once before
            if self.calls == 3:
                self.before = snapshot(self.discriminator)
                term = term * 1e36
            elif self.calls == 4:
                self.after = snapshot(self.discriminator)
            return {"adversarial_d": term}

    scales = []

    class Scales(pl.Callback):
        def on_train_batch_end(self, *_):
            scales.append(scaler.get_scale())

    scaler = torch.amp.GradScaler("cuda", init_scale=1024.0, growth_interval=5)
    model = Overflowing(**SMALL, n_critic=2)
    rows = Rows()
    fitted(
        model,
        max_steps=3,
        log_every_n_steps=1,
        logger=rows,
        callbacks=[Scales()],
        plugins=[MixedPrecision("16-mixed", "cuda", scaler)],
        **GPU,
    )
    assert same(model.before, model.after)
    after = [weight.cpu() for weight in model.after]
    assert not same(after, snapshot(model.discriminator))  # a later step moved it
    assert scales == [1024, 512, 1024]
    assert [row["train/skipped_steps"] for _, row in rows.rows] == [0, 1, 1]
    assert all(parameter.isfinite().all() for parameter in model.parameters())


# Compiled losses


class Compilations(pl.Callback):
    """Notes at the end which losses are compiled, each as a whole."""

    def on_train_epoch_end(self, trainer, model):
        self.found = {name: loss.compiled for name, loss in model._compiled.items()}


@pytest.mark.parametrize(("precision", "tolerance"), [("32-true", 1e-4), ("64-true", 1e-12)])
def test_compiled_losses_are_those_of_eager_mode(precision, tolerance):
    """Three rounds, of which the second writes a row."""

    def trained(compile):
        torch.manual_seed(SEED)
        arguments = {**SMALL, "optimizer_g": sgd, "optimizer_d": sgd, "n_critic": 2}
        model, noted = WGANGP(compile=compile, **arguments), Compilations()
        trainer = {"precision": precision, "callbacks": [noted], **GPU}
        fitted(model, max_steps=3, log_every_n_steps=2, **trainer)
        row = {name: value for name, value in model.last_logged.items() if name not in MEASURED}
        return snapshot(model), row, noted.found

    weights, row, none = trained(False)
    compiled, compiled_row, both = trained(True)
    assert none == {}
    assert both == {"discriminator": True, "generator": True}
    close = {"rtol": tolerance, "atol": tolerance}
    for one, other in zip(compiled, weights, strict=True):
        assert_close(one, other, **close)
    assert row["train/loss_d"] != 0
    assert compiled_row == pytest.approx(row, rel=tolerance, abs=tolerance)


# Averages


def test_the_average_is_the_closed_form_in_double_precision_on_the_cpu():
    """The n-th weights count (1 - d_n) d_(n + 1) ... d_N, the initial ones d_1 ... d_N."""
    generator = MLPGenerator(2, (2,), [8, 8], normalization=nn.BatchNorm1d)
    states = [{name: value.double() for name, value in generator.state_dict().items()}]
    average = GeneratorEMA(0.4)

    class History(pl.Callback):
        def on_train_batch_end(self, trainer, model, *_):
            state = model.generator.state_dict()
            tensors = [*state.values(), *average.networks["generator"].state_dict().values()]
            assert {tensor.device.type for tensor in tensors} == {"cuda"}
            states.append({name: value.double().cpu() for name, value in state.items()})

    model = WGANGP(data_shape=(2,), generator=generator, n_critic=2)
    fitted(model, max_steps=6, callbacks=[average, History()], **GPU)
    kept = torch.tensor([0.0] + [min(0.4, (1 + n) / (10 + n)) for n in range(1, 7)]).double()
    shares = [(1 - kept[n]) * kept[n + 1 :].prod() for n in range(7)]
    assert sum(shares) == pytest.approx(1, rel=1e-12)
    found = average.networks["generator"].state_dict()
    assert any("running_var" in name for name in found)
    for name, value in found.items():
        past = [state[name] for state in states]
        expected = sum(s * p for s, p in zip(shares, past, strict=True))
        if not value.is_floating_point():
            expected = past[-1]  # a counter is copied
        # Six roundings of single precision.
        assert_close(value.double().cpu(), expected, rtol=1e-6, atol=1e-7)
        assert "weight" not in name or not torch.equal(past[0], past[-1])
