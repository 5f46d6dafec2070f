"""Two sources side by side: their chains, what is resumed, and what is refused."""

from functools import partial

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from conftest import MadeImages, numbers, quiet_trainer, small_ring
from lightning.pytorch.utilities import CombinedLoader
from made import fill
from torch.utils.data import DataLoader

from datamodules import ArrayData, GaussianRing, ImageFolder, SwissRoll, UnpairedSources
from lightning_gans import GAN, AdversarialModule, CycleGAN
from lightning_gans.callbacks import Checkpoint, Evaluation, GeneratorEMA, Pictures
from lightning_gans.networks import (
    MLPDiscriminator,
    MLPTranslator,
    PatchDiscriminator,
    ResNetTranslator,
)


def cycle_gan(**arguments):
    return CycleGAN(
        data_shape=(2,), translator=MLPTranslator, discriminator=MLPDiscriminator, **arguments
    )


def points(**arguments):
    sizes = {"batch_size": 6, "num_eval_samples": 40, **arguments}
    return UnpairedSources(GaussianRing(**sizes), SwissRoll(**sizes))


@pytest.mark.parametrize("ranks", [1, 2])
def test_each_source_is_read_once_a_pass_in_a_chain_of_its_own(ranks):
    both = UnpairedSources(MadeImages(number=24), MadeImages(number=16))
    seen = {"a": [], "b": []}
    for position in range(24 // (2 * ranks)):
        for rank in range(ranks):
            batch = both.training_batches(7, 2, rank, ranks)(position)
            assert list(batch) == ["a", "b"]
            for key, images in batch.items():
                seen[key] += numbers(images)
    assert sorted(seen["a"]) == list(range(24))
    assert sorted(seen["b"][:16]) == list(range(16))  # the shorter one begins again
    assert len(set(seen["b"][16:])) == 8
    alone = MadeImages(number=24).training_batches(7, 24, 0, 1)(0)
    assert numbers(alone) != seen["a"]  # nor is it the chain of a run on the source alone


def test_rows_of_the_two_sources_do_not_come_in_pairs():
    """Two equal sources with one seed would give each sample its own copy."""
    both = UnpairedSources(MadeImages(number=48), MadeImages(number=48))
    batch = both.training_batches(3, 48, 0, 1)(0)
    one, other = np.array(numbers(batch["a"])), np.array(numbers(batch["b"]))
    assert (one == other).sum() < 6
    assert abs(np.corrcoef(one, other)[0, 1]) < 3 / np.sqrt(48)


def test_labels_are_left_out_and_images_scaled_by_their_own_range():
    both = UnpairedSources(MadeImages(), MadeImages(value_range=(0.0, 1.0)))
    assert both.value_range == (-1.0, 1.0)
    model = CycleGAN(
        data_shape=(1, 16, 16),
        translator=partial(ResNetTranslator, width=2, blocks=1, output=None),
        discriminator=partial(PatchDiscriminator, width=2, strided=1),
    )
    trainer = quiet_trainer(0)
    trainer.fit(model, both)
    batch = both.on_after_batch_transfer(both.training_batches(0, 8, 0, 1)(0), 0)
    low, high = (
        (float(batch[key].min()) for key in "ab"),
        (float(batch[key].max()) for key in "ab"),
    )
    assert [round(value, 2) for value in low] == [-1.0, 0.0]
    assert [round(value, 2) for value in high] == [1.0, 1.0]


def test_sources_that_are_decoded_by_workers_are_so_side_by_side(tmp_path):
    fill(tmp_path / "photos", number=60)
    folder = ImageFolder(
        str(tmp_path / "photos"), image_size=8, batch_size=4, num_workers=2, cache=False
    )
    both = UnpairedSources(MadeImages(data_shape=(3, 8, 8)), folder)
    both.setup("fit")
    assert folder.num_workers == both.num_workers == 2
    batch = next(iter(both.train_dataloader()))
    assert torch.equal(batch["a"], both.training_batches(0, 4, 0, 1)(0)["a"])
    assert batch["b"].shape == (4, 3, 8, 8)


def test_a_resumed_run_reads_on_in_both_chains(tmp_path):
    def run(steps, start=None, saver=()):
        pl.seed_everything(3)
        model = cycle_gan()
        trainer = quiet_trainer(steps, callbacks=[GeneratorEMA(0.5), *saver])
        trainer.fit(model, points(), ckpt_path=start)
        return model, trainer

    whole, _ = run(7)
    _, half = run(4)
    path = str(tmp_path / "half.ckpt")
    half.save_checkpoint(path)
    again, _ = run(7, path)
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    for name in whole.averaged:
        pairs = zip(
            getattr(again.evaluated, name).parameters(),
            getattr(whole.evaluated, name).parameters(),
            strict=True,
        )
        assert all(torch.equal(one, other) for one, other in pairs)


def test_both_directions_are_scored_drawn_averaged_and_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, scores = cycle_gan(), Evaluation()
    average = GeneratorEMA(0.5)
    trainer = quiet_trainer(
        4,
        callbacks=[average, scores, Pictures(2, num_samples=20), Checkpoint("val/sliced_w")],
        enable_checkpointing=True,
        limit_val_batches=1.0,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        default_root_dir=str(tmp_path),
    )
    trainer.fit(model, points())
    assert {"w1_a", "w1_b", "w1", "modes_a", "sliced_w"} <= scores.scores.keys()
    assert "modes_b" not in scores.scores  # a roll has no modes
    for name in ("w1", "sliced_w"):
        found = [scores.scores[f"{name}_{side}"] for side in "ab"]
        assert scores.scores[name] == pytest.approx(sum(found) / 2)
    without = {"cycle_l1", "cycle_l1_a", "cycle_l1_b"}  # real data has no floor of it
    assert scores.scores.keys() - scores.floors.keys() == without
    assert set(average.networks) == {"to_a", "to_b"}
    drawn = {path.name for path in tmp_path.rglob("*.*")}
    assert {"0000004.png", "samples_a_0000004.png", "training.gif"} <= drawn
    content = model.export(*model.averaged)
    assert b"to_a.layers.1.weight" in content
    assert b"to_b.layers.1.weight" in content
    assert b"discriminator_a.layers" not in content


def test_the_record_is_translated_by_the_averages():
    model = cycle_gan()
    average = GeneratorEMA(0.9)
    quiet_trainer(3, callbacks=[average]).fit(model, points())
    batch = model.read_batch(points().training_batches(0, 6, 0, 1)(0))
    record = model.evaluation_record(batch, 0)
    assert torch.equal(record.a.fake, average.networks["to_a"](batch.b))
    assert torch.equal(record.b.real, batch.b)
    assert not torch.equal(record.a.fake, model.to_a(batch.b))


def test_loaders_of_a_users_own_are_combined_and_their_positions_are_not_saved():
    x, y = torch.randn(24, 2), torch.randn(16, 2)
    loaders = {"a": DataLoader(x, batch_size=8), "b": DataLoader(y, batch_size=8)}
    model = cycle_gan()
    trainer = quiet_trainer(3)
    with pytest.warns(UserWarning, match="The positions of several loaders are not saved"):
        trainer.fit(model, CombinedLoader(loaders, "max_size_cycle"))
    assert trainer.global_step == 3


def test_two_sources_with_one_loss_for_each_discriminator():
    model = cycle_gan()
    assert isinstance(model, AdversarialModule)
    assert not isinstance(model, GAN)
    quiet_trainer(1, log_every_n_steps=1).fit(model, points())
    row = model.last_logged
    assert row["train/loss_d"] == pytest.approx(
        row["train/adversarial_d_a"] + row["train/adversarial_d_b"], rel=1e-6
    )
    assert {f"train/d_{side}_{name}" for side in ("real", "fake") for name in "ab"} <= row.keys()


def test_sources_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="batch_size: the sources have 8 and 4 samples"):
        UnpairedSources(small_ring(), small_ring(batch_size=4))
    ring = small_ring()
    with pytest.raises(ValueError, match="b: it is the same object as a"):
        UnpairedSources(ring, ring)


def test_evaluation_sets_of_unequal_length_are_cut_to_the_shorter(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(100, 2)))
    few = ArrayData(str(tmp_path / "rows.npy"), batch_size=6)
    both = UnpairedSources(GaussianRing(batch_size=6, num_eval_samples=40), few)
    assert both.num_eval_samples == 5
    (batch,) = both.evaluation_batches(0)
    assert [len(part) for part in batch.values()] == [5, 5]
    shares = [both.evaluation_batches(0, rank, 2) for rank in range(2)]
    assert [share.first for share in shares] == [0, 3]
    for key, part in batch.items():
        assert torch.equal(torch.cat([b[key] for share in shares for b in share]), part)
