"""What Lightning does without an effect, left out, and what has an effect, left in."""

import copy
import os

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, quiet_trainer, small_ring
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.plugins import Precision
from lightning.pytorch.profilers import PassThroughProfiler, SimpleProfiler
from lightning.pytorch.trainer import call as hooks
from torch import Tensor, nn

from lightning_gans import ACGAN, GAN
from lightning_gans.callbacks import Evaluation
from lightning_gans.core.players import Samples
from lightning_gans.networks import MLPDiscriminator


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
    assert trainer.global_step == 3
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
