"""What goes between the CPU and a GPU: batches, and nothing that either has to wait for."""

from functools import partial

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, MadeImages, fitted
from reference.games import GAMES
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import DCGAN, GAN, WDCGANGP
from lightning_gans.callbacks import GeneratorEMA
from lightning_gans.networks import DCGANCritic, DCGANGenerator
from lightning_gans.optimizers import GANAdam

pytestmark = pytest.mark.gpu

GPU = {"accelerator": "gpu", "devices": 1}
IMAGES = {
    "data_shape": (1, 16, 16),
    "generator": partial(DCGANGenerator, width=4),
    "discriminator": partial(DCGANCritic, width=4),
}


# Batches


class Watched(MadeImages):
    """Notes each batch before it is sent, when it has arrived, and when it is scaled."""

    def __init__(self):
        super().__init__()
        self.sent, self.arrived, self.scaled = [], [], []

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        self.sent.append(batch)
        self.arrived.append(super().transfer_batch_to_device(batch, device, dataloader_idx))
        return self.arrived[-1]

    def on_after_batch_transfer(self, batch, dataloader_idx):
        self.scaled.append(super().on_after_batch_transfer(batch, dataloader_idx))
        return self.scaled[-1]

    def assert_scaled_on_the_device(self, batches):
        assert len(self.sent) >= batches  # the trainer may fetch one ahead
        steps = zip(self.sent, self.arrived, self.scaled, strict=True)
        for (images, labels), arrived, scaled in steps:
            assert {part.device.type for part in (*arrived, *scaled)} == {"cuda"}
            assert images.dtype == arrived[0].dtype == torch.uint8
            expected = images.double() * 2 / 255 - 1
            assert_close(scaled[0].double().cpu(), expected, rtol=0, atol=1e-6)
            assert torch.equal(scaled[1].cpu(), labels)


def test_images_are_sent_as_bytes_and_scaled_on_the_device():
    images = Watched()
    fitted(DCGAN(**IMAGES), images, max_steps=4, **GPU)
    images.assert_scaled_on_the_device(4)


class Pinned(Watched):
    """Batches from a loader that pins memory, sent while the device is busy for 0.1 s or so."""

    def __init__(self):
        super().__init__()
        self.busy, self.waited = torch.cuda.Event(), []

    def train_dataloader(self):
        data = TensorDataset(self.training.images, self.training.labels)
        return DataLoader(data, batch_size=8, pin_memory=True)

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        assert all(part.is_pinned() for part in batch)
        self.keep_busy()
        arrived = super().transfer_batch_to_device(batch, device, dataloader_idx)
        self.waited.append(self.busy.query())
        return arrived

    def keep_busy(self):
        torch.cuda._sleep(200_000_000)
        self.busy.record()


def test_pinned_batches_are_sent_without_waiting_for_the_device():
    images = Pinned()
    fitted(DCGAN(**IMAGES), images, max_steps=4, **GPU)
    assert len(images.waited) >= 4
    assert not any(images.waited)
    images.assert_scaled_on_the_device(4)
    images.keep_busy()
    images.training.images.to("cuda")  # a copy that blocks waits, and the event tells
    assert images.busy.query()


# Synchronisation. The scaler of fp16 looks at its gradients on the CPU, so that fp16 is left out.


class Guard(pl.Callback):
    """Lets PyTorch refuse to wait for the device in the rounds four to seven of eight.

    Losses are rehearsed before the first, and the eighth writes a row, which both wait.
    """

    rounds = 0

    def on_train_batch_start(self, trainer, *_):
        done = trainer.global_step
        torch.cuda.set_sync_debug_mode("error" if 3 <= done < 7 else "default")

    def on_train_batch_end(self, *_):
        self.rounds += torch.cuda.get_sync_debug_mode() == 2  # "error"

    def on_exception(self, *_):
        torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def guarded():
    """Trains under guard; returns how many rounds it was on."""

    def train(model, data=None, precision="32-true", callbacks=()):
        guard = Guard()
        trainer = {"precision": precision, "callbacks": [guard, *callbacks], **GPU}
        fitted(model, data, max_steps=8, log_every_n_steps=8, **trainer)
        assert "train/loss_d" in model.last_logged
        return guard.rounds

    yield train
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", GAMES)
def test_no_game_waits_for_the_device(name, precision, guarded):
    game = GAMES[name]
    assert guarded(game.model(game.most_updates), game.data(), precision) == 4


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("fused", [None, True])
def test_nor_do_images_averages_schedules_and_clipped_gradients(precision, fused, guarded):
    model = WDCGANGP(
        **IMAGES,
        n_critic=2,
        optimizer_g=partial(GANAdam, fused=fused),
        optimizer_d=partial(GANAdam, fused=fused),
        scheduler=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=20),
        gradient_clip_norm=1.0,
    )
    assert guarded(model, MadeImages(), precision, [GeneratorEMA()]) == 4


def test_a_loss_that_waits_for_the_device_is_noticed(guarded):
    class Waiting(GAN):
        def generator_loss(self, samples):
            terms = super().generator_loss(samples)
            terms["adversarial_g"].item()
            return terms

    with pytest.raises(RuntimeError, match="synchronizing CUDA operation") as caught:
        guarded(Waiting(**SMALL))
    assert "generator_loss" in [entry.name for entry in caught.traceback]
