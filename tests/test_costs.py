"""What one update costs, counted rather than timed."""

import copy
import os
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, quiet_trainer, small_ring
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler, SimpleProfiler
from lightning.pytorch.trainer import call as hooks
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_gans import ACGAN, CGAN, GAN, WGANGP
from lightning_gans.callbacks import Checkpoint, Evaluation, Pictures, Progress
from lightning_gans.game import Samples
from lightning_gans.networks import (
    DCGANCritic,
    DCGANDiscriminator,
    GlobalPoolDiscriminator,
    MaxPoolDiscriminator,
    MLPDiscriminator,
)
from lightning_gans.networks.evaluation import treats_samples_alone
from lightning_gans.optimizers import GANAdam
from lightning_gans.priors import NormalPrior

BATCH = 8


class Counted(nn.Module):
    """A network that notes how many samples each of its calls reads."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.calls: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        return self.network(x)


def counted_model(**arguments) -> WGANGP:
    generator = Counted(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)))
    discriminator = Counted(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)))
    return WGANGP(
        generator=generator, discriminator=discriminator, prior=NormalPrior(2), **arguments
    )


class Window(TorchDispatchMode, pl.Callback):
    """Counts operations, Lightning's logging and optimizer steps from one update to another."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.operations: Counter[str] = Counter()
        self.logs = self.steps = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations[str(func)] += 1
        return func(*args, **(kwargs or {}))

    def on_train_start(self, trainer, model):
        log = model.log

        def counting(*args, **kwargs):
            self.logs += 1
            return log(*args, **kwargs)

        model.log = counting
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(self.stepped)

    def stepped(self, *_):
        self.steps += 1

    def on_train_batch_end(self, trainer, model, *_):
        if trainer.global_step == self.first:
            model.generator.calls.clear()
            model.discriminator.calls.clear()
            self.logs = self.steps = 0
            self.__enter__()
        elif trainer.global_step == self.last:
            self.__exit__(None, None, None)
            self.counted = (self.steps, self.logs)
            self.read = {
                "generator": list(model.generator.calls),
                "discriminator": list(model.discriminator.calls),
            }


def window(model, tmp_path, *, first=3, last=4, every=100) -> Window:
    found = Window(first, last)
    trainer = quiet_trainer(
        last + 1,
        log_every_n_steps=every,
        limit_val_batches=0,
        callbacks=[
            found,
            Progress(),
            Evaluation([]),
            Pictures(every_n_updates=100),
            Checkpoint(dirpath=str(tmp_path)),
        ],
        default_root_dir=tmp_path,
        enable_checkpointing=True,
        enable_progress_bar=True,
    )
    trainer.fit(model, small_ring(batch_size=BATCH))
    return found


def test_a_round_makes_no_pass_step_or_transfer_too_many(tmp_path):
    found = window(counted_model(n_critic=3), tmp_path)
    # All fakes of the critic's turns at once, then those of the generator's own turn.
    assert found.read["generator"] == [3 * BATCH, BATCH]
    # Real and fake together, then the penalty's points; at last the generator's fakes.
    assert found.read["discriminator"] == [2 * BATCH, BATCH] * 3 + [BATCH]
    steps, logs = found.counted
    assert steps == 4
    assert logs == 0
    # On the CPU each loss is looked at. Elsewhere it is not, as in several processes.
    assert found.operations["aten._local_scalar_dense.default"] == 4
    assert found.operations["aten._to_copy.default"] == 0


def test_a_row_of_logs_is_one_transfer(tmp_path, monkeypatch):
    transfers = []
    transfer = Tensor.tolist
    monkeypatch.setattr(Tensor, "tolist", lambda x: transfers.append(x.shape) or transfer(x))
    quiet = window(counted_model(n_critic=1), tmp_path)
    assert transfers == []
    logged = window(counted_model(n_critic=1), tmp_path, every=4)
    # Loss, terms, gradient norm and mean logits of the critic; loss and norm of the generator.
    assert transfers == [(8,)]
    more = logged.operations - quiet.operations
    assert more["aten._local_scalar_dense.default"] == 0
    assert logged.counted == (2, 0)


def test_two_processes_send_their_gradients_and_wait_for_nothing_else(tmp_path):
    script = Path(__file__).parent / "distributed" / "count_costs.py"
    subprocess.run(
        [sys.executable, str(script), str(tmp_path)], check=True, timeout=300, capture_output=True
    )
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert not any(name.startswith("c10d") for name in found["calls"])
        # DDP itself looks which parameters a backward pass has reached; nothing else waits.
        assert "aten._local_scalar_dense.default" not in found["calls"]
        # DDP sends the whole model in each backward pass, with zeros for who does not play.
        assert found["sent"] == 4 * (3 + 1) * sum(found["sizes"])


# One pass over real and fake --------------------------------------------------------------------


class MinibatchDeviation(nn.Module):
    """A layer that tells each sample how much its batch varies, behind a gate."""

    def __init__(self, gate: float) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor(gate))
        self.last = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x) + self.gate * x.std()


class ChannelDeviation(nn.Module):
    """A layer that adds to each sample how much its batch varies."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.std(0).mean().expand(len(x), 1)], dim=1)


class MinibatchDiscrimination(nn.Module):
    """The layer of Salimans et al. (2016): how close each sample is to the others of its batch."""

    def __init__(self, inputs: int, kernels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(inputs, kernels * 5))
        self.last = nn.Linear(inputs + kernels, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows = (x @ self.table).unflatten(1, (-1, 5))
        distances = (rows.unsqueeze(0) - rows.unsqueeze(1)).abs().sum(3)
        return self.last(torch.cat([x, (-distances).exp().sum(0)], dim=1))


class Picky(nn.Module):
    """A network that no copy in double precision is to be made of."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        return self.last(x)


def normalized(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 4), layer, nn.ReLU(), nn.Linear(4, 1))


IMAGE, TALL = (1, 28, 28), (3, 64, 64)
LONE = {
    "perceptron": (MLPDiscriminator((2,), [8]), (2,)),
    "layer norm": (normalized(nn.LayerNorm(4)), (2,)),
    "instance norm": (DCGANDiscriminator(TALL, 4, normalization=nn.InstanceNorm2d), TALL),
    "group norm": (DCGANDiscriminator(TALL, 4, normalization=partial(nn.GroupNorm, 2)), TALL),
    "global pool": (GlobalPoolDiscriminator(IMAGE), IMAGE),
    "max pool": (MaxPoolDiscriminator(IMAGE), IMAGE),
    "dcgan critic": (DCGANCritic(TALL, width=4), TALL),
}
COUPLED = {
    "minibatch discrimination": (MinibatchDiscrimination(784, 64), (784,)),
    "minibatch discrimination of images": (
        nn.Sequential(
            *(nn.Conv2d(1, 8, 5, 2, 2), nn.LeakyReLU(0.2), nn.Flatten()),
            MinibatchDiscrimination(8 * 14 * 14, 50),
        ),
        IMAGE,
    ),
    "deviation before a sigmoid": (
        nn.Sequential(
            *(nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten()),
            *(ChannelDeviation(), nn.Linear(64 * 32 * 32 + 1, 1), nn.Sigmoid()),
        ),
        TALL,
    ),
    "batch norm": (normalized(nn.BatchNorm1d(4)), (2,)),
    "dropout": (normalized(nn.Dropout(0.5)), (2,)),
    "spectral norm": (parametrizations.spectral_norm(nn.Linear(2, 1)), (2,)),
    "deviation": (MinibatchDeviation(1.0), (2,)),
    "deviation behind a closed gate": (MinibatchDeviation(0.0), (2,)),
    "picky": (Picky(), (2,)),
    "constant": (normalized(nn.Threshold(1e9, 0.0)), (2,)),
}


def call(network: nn.Module, x: Tensor) -> Tensor:
    return network(x)


@pytest.mark.parametrize("name", LONE)
def test_who_reads_samples_alone_may_read_them_together(name):
    network, shape = LONE[name]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.get_rng_state()
    assert treats_samples_alone(network, call, shape)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    for key, value in network.state_dict().items():
        assert torch.equal(before[key], value)


@pytest.mark.parametrize("name", COUPLED)
def test_who_may_not_read_samples_together_is_found_out(name):
    network, shape = COUPLED[name]
    assert not treats_samples_alone(network, call, shape)


@pytest.mark.parametrize("variant", [GAN, WGANGP, CGAN])
def test_one_pass_over_both_gives_the_logits_of_two(variant):
    classes = {"num_classes": 3} if variant is CGAN else {}
    model = variant(**SMALL, **classes).double()
    real, fake = torch.randn(2, 5, 2, dtype=torch.float64)
    labels = torch.randint(3, (5,)) if classes else None
    samples = Samples(real, fake, real, labels)
    apart = model.logits(samples)
    model._joins = True
    together = model.logits(samples)
    for one, other in zip(apart, together, strict=True):
        assert_close(one, other, rtol=0, atol=1e-12)


def test_a_discriminator_with_batch_statistics_reads_real_and_fake_apart():
    network = Counted(normalized(nn.BatchNorm1d(4)))
    model = GAN(generator=nn.Linear(2, 2), discriminator=network, prior=NormalPrior(2))
    quiet_trainer(1, limit_val_batches=0).fit(model, small_ring(batch_size=BATCH))
    assert network.calls[-3:] == [BATCH, BATCH, BATCH]


# What Lightning does without an effect ----------------------------------------------------------


class Hooked(pl.Callback):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_before_backward(self, *_) -> None:
        self.heard.append("before")

    def on_train_batch_end(self, *_) -> None:
        self.heard.append("end")


def test_hooks_that_nobody_has_are_not_called(monkeypatch):
    called = []

    def called_in_vain(self, *_):
        called.append(type(self).__name__)

    monkeypatch.setattr(pl.Callback, "on_train_batch_start", called_in_vain)
    users = Silent()
    trainer = quiet_trainer(2, callbacks=[Evaluation([]), users], limit_val_batches=0)
    trainer.fit(GAN(**SMALL), small_ring())
    assert called == ["Silent"] * 2  # who knows who else calls a user's callback
    assert type(trainer.profiler) is not PassThroughProfiler


class Silent(pl.Callback):
    pass


def hooks_around_steps(monkeypatch) -> list[str]:
    """Returns a list of the hooks around steps that callbacks are asked for from now on."""
    asked: list[str] = []
    ask = hooks._call_callback_hooks

    def asking(trainer, name, *args, **kwargs):
        if name in ("on_before_backward", "on_after_backward", "on_before_optimizer_step"):
            asked.append(name)
        return ask(trainer, name, *args, **kwargs)

    monkeypatch.setattr(hooks, "_call_callback_hooks", asking)
    return asked


def test_steps_that_nobody_hears_of_are_made_without_hooks(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    asked = hooks_around_steps(monkeypatch)
    silent, heard = (GAN(**SMALL, gradient_clip_norm=0.1) for _ in range(2))
    heard.load_state_dict(silent.state_dict())
    trainer = quiet_trainer(2, callbacks=[Silent()], limit_val_batches=0)
    trainer.fit(silent, small_ring())
    assert asked == []
    hooked = Hooked()
    trainer = quiet_trainer(2, callbacks=[hooked], limit_val_batches=0)
    trainer.fit(heard, small_ring())
    assert len(asked) == 12  # three hooks around each of four steps
    for one, other in zip(silent.parameters(), heard.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_trainer_calls_hooks_again_when_somebody_has_come_to_hear(monkeypatch):
    asked = hooks_around_steps(monkeypatch)
    trainer = quiet_trainer(1, limit_val_batches=0)
    trainer.fit(GAN(**SMALL), small_ring())
    assert asked == []
    hooked = Hooked()
    trainer.callbacks.append(hooked)
    trainer.fit_loop.epoch_loop.max_steps = 2
    trainer.fit(GAN(**SMALL), small_ring())
    assert "before" in hooked.heard
    trainer.callbacks.remove(hooked)
    asked.clear()
    trainer.fit_loop.epoch_loop.max_steps = 3
    trainer.fit(GAN(**SMALL), small_ring())
    assert asked == []


@pytest.mark.parametrize("hook", ["on_before_backward", "on_after_backward"])
def test_a_model_hears_of_its_steps_if_it_listens(hook):
    heard = []
    model = type("Listening", (GAN,), {hook: lambda *_: heard.append(hook)})(**SMALL)
    quiet_trainer(1, limit_val_batches=0).fit(model, small_ring())
    assert heard == [hook] * 2


class Logging(GAN):
    """A model that logs before each step what it also logs in each round."""

    def on_before_optimizer_step(self, optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        self.log("seen", 1.0, on_epoch=True)

    def training_step(self, batch, batch_idx) -> None:
        super().training_step(batch, batch_idx)
        self.log("seen", 2.0)


def test_a_model_may_log_in_its_last_hook_before_a_step():
    trainer = quiet_trainer(1, limit_val_batches=0)
    trainer.fit(Logging(**SMALL), small_ring())
    assert trainer.callback_metrics["seen_epoch"] == 1


class Plain(pl.LightningModule):
    """A model of another kind."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 1)
        self.heard: list[str] = []

    def training_step(self, batch, batch_idx) -> Tensor:
        return self.last(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_before_backward(self, loss) -> None:
        self.heard.append("before")

    def configure_gradient_clipping(self, *_, **__) -> None:
        self.heard.append("clip")


def test_a_trainer_treats_another_model_as_lightning_does():
    trainer = quiet_trainer(1, limit_val_batches=0)
    trainer.fit(GAN(**SMALL), small_ring())
    other = Plain()  # its steps are counted apart
    trainer.fit(other, small_ring())
    assert other.heard == ["before", "clip"]


def test_hooks_of_an_optimizer_see_gradients_before_they_are_clipped(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    norms: dict[bool, list[Tensor]] = {True: [], False: []}
    model = GAN(**SMALL, gradient_clip_norm=0.001)
    for heard, found in norms.items():

        def note(optimizer, args, kwargs, found=found):
            gradients = [p.grad for p in optimizer.param_groups[0]["params"]]
            found.append(torch.nn.utils.get_total_norm(gradients))

        def start(trainer, *_, note=note):
            for optimizer in trainer.optimizers:
                optimizer.register_step_pre_hook(note)

        callbacks = [LambdaCallback(on_train_start=start), *([Hooked()] if heard else [])]
        twin = copy.deepcopy(model)
        quiet_trainer(1, callbacks=callbacks, limit_val_batches=0).fit(twin, small_ring())
    assert len(norms[True]) == 2
    assert norms[True] == norms[False]
    assert min(norms[True]) > 0.002


def test_a_profiler_that_measures_finds_the_models_hook():
    profiler = SimpleProfiler()
    quiet_trainer(1, profiler=profiler, limit_val_batches=0).fit(GAN(**SMALL), small_ring())
    found = profiler.recorded_durations
    assert len(found["[LightningModule]GAN.on_before_optimizer_step"]) == 2


def test_the_precision_that_a_user_gave_comes_back():
    given = Precision()
    trainer = quiet_trainer(1, plugins=[given], limit_val_batches=0)
    trainer.fit(GAN(**SMALL), small_ring())
    assert trainer.precision_plugin is not given
    trainer.callbacks.append(Hooked())
    trainer.fit_loop.epoch_loop.max_steps = 2
    trainer.fit(GAN(**SMALL), small_ring())
    assert trainer.precision_plugin is given


class TouchesReal(GAN):
    """A loss that differentiates the real samples in their place."""

    def discriminator_loss(self, samples: Samples) -> dict[str, Tensor]:
        samples.real.requires_grad_()
        return super().discriminator_loss(samples)

    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        assert not samples.real.requires_grad
        return super().generator_loss(samples)


def test_a_loss_that_touches_its_samples_leaves_the_batch_alone():
    touched = []
    look = LambdaCallback(
        on_train_batch_end=lambda _, __, ___, batch, ____: touched.append(batch.requires_grad)
    )
    quiet_trainer(2, callbacks=[look], limit_val_batches=0).fit(TouchesReal(**SMALL), small_ring())
    assert touched == [False, False]


def test_half_precision_keeps_the_steps_that_it_needs():
    trainer = quiet_trainer(1, limit_val_batches=0, precision="bf16-mixed")
    plugin = trainer.precision_plugin
    trainer.fit(GAN(**SMALL), small_ring())
    assert trainer.precision_plugin is plugin


def test_attributes_are_set_as_those_of_any_module():
    model = GAN(**SMALL)
    model.seed = 5
    model.seed = None
    assert model.__dict__["seed"] is None
    with pytest.raises(TypeError, match="cannot assign"):
        model.generator = 5
    model.generator = None
    assert model.generator is None
    assert "generator" in model._modules
    model.seed = nn.Linear(1, 1)  # a module takes the place of a number
    assert "seed" not in model.__dict__
    assert isinstance(model._modules["seed"], nn.Linear)
    model.register_buffer("mean", torch.zeros(1))
    model.mean = None
    assert model._buffers == {"mean": None}


def test_hooks_that_callbacks_have_are_called():
    hooked, started = Hooked(), []
    spoken = LambdaCallback(on_train_batch_start=lambda *_: started.append(1))
    profiler = SimpleProfiler()
    model = GAN(**SMALL)
    trainer = quiet_trainer(2, callbacks=[hooked, spoken], profiler=profiler, limit_val_batches=0)
    trainer.fit(model, small_ring())
    assert hooked.heard == ["before", "before", "end"] * 2
    assert started == [1, 1]
    assert trainer.profiler is profiler
    assert len(profiler.recorded_durations["run_training_batch"]) == 2
    trainer = quiet_trainer(1, callbacks=[hooked], limit_val_batches=0)  # and in another run
    trainer.fit(model, small_ring())
    assert hooked.heard == ["before", "before", "end"] * 3


@pytest.mark.skipif(
    torch.cuda.is_available() or not torch.backends.cuda.is_built(),
    reason="the search is that of PyTorch with CUDA on a machine without a GPU",
)
def test_no_step_on_the_cpu_searches_for_a_gpu_driver(monkeypatch):
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # as Lightning sets it
    searched = []
    found = torch.cuda._device_count_nvml
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: searched.append(1) or found())
    model = ACGAN(num_classes=8, **{**SMALL, "discriminator": MLPDiscriminator})
    torch.optim.Adam(model.parameters(), lr=0.1).step()
    assert torch.cuda.is_available() is False
    assert searched  # this is how it would be searched for
    trainer = quiet_trainer(2, limit_val_batches=0)
    model.trainer = trainer
    searched.clear()
    trainer.fit(model, small_ring(labels=True))
    before = len(searched)
    torch.optim.Adam(model.parameters(), lr=0.1).step()
    assert len(searched) == before
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "0"


# Adam's default ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        lambda a, b: [*a.parameters(), *b.parameters()],
        lambda a, b: (p for net in (a, b) for p in net.parameters()),
        lambda a, b: [{"params": a.parameters()}, {"params": b.parameters(), "lr": 1e-3}],
        lambda a, b: [{"params": a.weight}, {"params": [a.bias, *b.parameters()]}],
        lambda a, b: [(f"{i}.{n}", p) for i in (a, b) for n, p in i.named_parameters()],
    ],
)
def test_adam_is_fused_on_the_cpu_and_updates_whatever_it_is_given(given):
    networks = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = GANAdam(given(*networks), lr=0.1)
    assert all(group["fused"] for group in optimizer.param_groups)
    before = [p.detach().clone() for net in networks for p in net.parameters()]
    networks[1](networks[0](torch.ones(1, 2))).sum().backward()
    optimizer.step()
    after = [p for net in networks for p in net.parameters()]
    assert not any(torch.equal(one, other) for one, other in zip(before, after, strict=True))
