"""What a checkpoint holds, who may open it, and when none is written."""

import pickle
import sys
import types
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, Rows, fitted, quiet_trainer, small_ring
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gans import GAN, WGAN, WGANGP, load
from lightning_gans.augment import InstanceNoise
from lightning_gans.callbacks import Checkpoint, Evaluation, GeneratorEMA
from lightning_gans.core.checkpointing import read_checkpoint
from lightning_gans.core.priors import CodePrior, NormalPrior, UniformPrior
from lightning_gans.losses import Hinge, LeastSquares
from lightning_gans.networks import MLPGenerator
from lightning_gans.regularizers import R1, Consistency, LeCam, Orthogonal


def trained(model, data=None, max_steps=2, callbacks=(), name="last", **trainer):
    """Trains a model and returns its checkpoint."""
    saver = Checkpoint(dirpath="checkpoints")
    fitted(
        model, data, max_steps, enable_checkpointing=True, callbacks=[saver, *callbacks], **trainer
    )
    return f"checkpoints/{name}.ckpt"


class Steep(R1):
    """A regularizer of a user's own."""

    name = "steep"


def test_plain_modules_lambdas_and_a_plain_loader_make_a_plain_checkpoint():
    model = GAN(
        generator=nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)),
        discriminator=nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)),
        prior=UniformPrior(3),
        regularizers=[R1()],
        optimizer_g=lambda parameters: torch.optim.Adam(parameters, lr=1e-3, betas=(0.0, 0.9)),
        optimizer_d=lambda parameters: torch.optim.SGD(parameters, lr=1e-3),
    )
    path = trained(model, DataLoader(TensorDataset(torch.randn(32, 2)), batch_size=8))
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["global_step"] == 2
    assert checkpoint["hyper_parameters"] == {
        "data_shape": None,
        "num_classes": None,
        "n_critic": 1,
        "scheduler": None,
        "regularizers_g": (),
        "augment": None,
        "gradient_clip_norm": None,
        "compile": False,
        "prior": {
            "class_path": "lightning_gans.core.priors.UniformPrior",
            "init_args": {"dim": 3},
        },
        "regularizers": [{"class_path": "lightning_gans.regularizers.R1"}],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": Hinge, "regularizers": (R1(0.3, every=2),)},
        {"loss": LeastSquares(1.0, fake_target=-1.0), "augment": InstanceNoise(sd=0.1)},
        {
            "prior": CodePrior(NormalPrior(2), [3], continuous=1),
            "generator": partial(MLPGenerator, hidden=[5], activation=nn.ReLU),
            "regularizers": [LeCam(0.1, start=1), Consistency(2.0, InstanceNoise(0.2))],
            "regularizers_g": [Orthogonal(1e-3)],
        },
    ],
)
def test_what_this_package_has_is_made_again_without_being_given(arguments):
    model = GAN(data_shape=(2,), **arguments)
    loaded = load(trained(model))
    z = model.prior.sample(4)
    assert torch.equal(loaded.sample(z), model.sample(z))
    assert repr(loaded) == repr(model.eval())
    assert repr(loaded.prior) == repr(model.prior)
    assert load(trained(loaded)).hparams == loaded.hparams


def test_objects_are_asked_for_when_it_is_opened():
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    path = trained(
        WGANGP(
            data_shape=(2,),
            generator=network,
            regularizers=[R1(), Steep(1.0)],
            optimizer_g=torch.optim.Adam,
        )
    )
    with pytest.raises(ValueError, match=r"give generator=\.\.\., regularizers=\.\.\.\."):
        load(path)
    fresh = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    model = load(path, generator=fresh, regularizers=[])
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), fresh.parameters(), strict=True)
    )
    assert model.generator is fresh


def test_a_loaded_model_is_whole_evaluates_and_can_be_saved_again():
    model = WGAN(data_shape=(2,), clip_value=0.1, n_critic=2)
    path = trained(model)
    loaded = load(path)
    assert type(loaded) is WGAN
    assert not loaded.training
    assert loaded.clip_value == 0.1
    assert loaded.images_seen == 2 * 2 * 8
    assert loaded.seed == model.seed
    z = torch.randn(4, 2)
    assert torch.equal(loaded.sample(z), model.sample(z))
    again = load(trained(loaded))
    assert again.clip_value == 0.1
    assert load(path, n_critic=7).n_critic == 7


def test_a_loaded_model_trains_in_training_mode():
    path = trained(GAN(data_shape=(2,)))
    model = load(path)
    modes = []
    usual = model.draw
    model.draw = lambda *batch: modes.append(model.generator.training) or usual(*batch)
    fitted(model, max_steps=1)
    assert modes == [False, False, True, True]  # the first ones are tried before training


def test_a_network_that_has_run_is_no_obstacle():
    """Spectral norm of the old kind cannot be deep-copied once it has run."""
    discriminator = nn.utils.spectral_norm(nn.Linear(2, 1))
    discriminator(torch.zeros(1, 2)).sum().backward()
    path = trained(GAN(data_shape=(2,), discriminator=discriminator))
    fresh = nn.utils.spectral_norm(nn.Linear(2, 1))
    assert torch.equal(load(path, discriminator=fresh).discriminator.bias, discriminator.bias)


class Stubborn(GAN):
    """Calls Lightning's own function, which keeps objects."""

    def __init__(self, thing=None, **arguments):
        super().__init__(**arguments)
        self.save_hyperparameters()


def test_a_subclass_that_saves_objects_still_makes_a_plain_checkpoint():
    path = trained(Stubborn(thing=nn.Linear(1, 1), **SMALL))
    assert "thing" not in torch.load(path, weights_only=True)["hyper_parameters"]


# The averaged generator


def test_load_gives_the_average_unless_told_otherwise():
    model = GAN(data_shape=(2,))
    average = GeneratorEMA(0.5)
    path = trained(model, callbacks=[average])
    z = torch.randn(4, 2)
    assert torch.equal(load(path).sample(z), average.networks["generator"](z))
    assert torch.equal(load(path, averaged=False).sample(z), model.sample(z))
    assert not torch.equal(average.networks["generator"](z), model.sample(z))


# Refusals


@pytest.mark.parametrize("argument", [{"map_location": "cpu"}, {"strict": False}])
def test_arguments_of_lightning_that_have_no_place_are_named(argument):
    path = trained(GAN(data_shape=(2,)))
    (name,) = argument
    with pytest.raises(ValueError, match=rf"^{name} is not an argument of this method\. .*leave"):
        GAN.load_from_checkpoint(path, **argument)


def test_the_last_checkpoint_follows_on_the_last_validation():
    """A run that is killed in between would never be scored: it has nothing left to train."""

    class Killed(pl.Callback):
        def on_validation_start(self, trainer, model):
            if trainer.global_step == 6:
                raise RuntimeError("killed")

    def train(*callbacks):
        saver = Checkpoint("val/w1", every_n_updates=3, dirpath="checkpoints")
        log = Rows()
        steps = {"val_check_interval": 4, "limit_val_batches": 1, "check_val_every_n_epoch": None}
        steps |= {"enable_checkpointing": True, "logger": log}
        model = GAN(**SMALL)
        resumed = {"ckpt_path": "checkpoints/last.ckpt"} if log_path.exists() else {}
        trainer = quiet_trainer(6, callbacks=[Evaluation(), saver, *callbacks], **steps)
        trainer.fit(model, small_ring(), **resumed)
        return [step for step, row in log.rows if "val/w1" in row]

    log_path = Path("checkpoints/last.ckpt")
    with pytest.raises(RuntimeError, match="killed"):
        train(Killed())
    assert read_checkpoint(log_path)["global_step"] == 4
    assert train() == [6]
    assert read_checkpoint(log_path)["global_step"] == 6


def test_another_class_cannot_open_it():
    path = trained(WGANGP(data_shape=(2,)))
    message = "is of a WGANGP, not of a GAN: open it with"
    with pytest.raises(ValueError, match=message):
        GAN.load_from_checkpoint(path)
    assert type(WGANGP.load_from_checkpoint(path)) is WGANGP


def test_another_class_cannot_go_on_from_it():
    path = trained(WGAN(data_shape=(2,)))
    with pytest.raises(
        ValueError, match=r"is of a lightning_gans\.variants\.wgan\.WGAN, the model"
    ):
        quiet_trainer(4).fit(GAN(data_shape=(2,)), small_ring(), ckpt_path=path)


def test_other_networks_cannot_go_on_from_it():
    path = trained(GAN(data_shape=(2,)))
    with pytest.raises(ValueError, match=r"networks are not the model's: .* has shape"):
        quiet_trainer(4).fit(GAN(**SMALL), small_ring(), ckpt_path=path)


def test_another_seed_cannot_go_on_from_it_but_may_evaluate(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "3")
    model = GAN(data_shape=(2,))
    path = trained(model)
    monkeypatch.setenv("PL_GLOBAL_SEED", "4")
    with pytest.raises(ValueError, match="began with seed 3 and cannot be resumed with 4"):
        quiet_trainer(4).fit(model, small_ring(), ckpt_path=path)
    quiet_trainer(4, limit_val_batches=1.0).validate(model, small_ring(), ckpt_path=path)
    assert model.seed == 4
    monkeypatch.delenv("PL_GLOBAL_SEED")
    quiet_trainer(4).fit(model, small_ring(), ckpt_path=path)
    assert model.seed == 3


def test_missing_cut_off_empty_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint .* at nothing\.ckpt"):
        load("nothing.ckpt")
    path = trained(GAN(data_shape=(2,)))
    content = (tmp_path / path).read_bytes()
    for size in (0, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.ckpt").write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"cut\.ckpt"):
            load("cut.ckpt")
    for foreign in ({"state_dict": {}}, [1, 2]):
        torch.save(foreign, "foreign.ckpt")
        with pytest.raises(ValueError, match="was not written by a model of lightning_gans"):
            load("foreign.ckpt")


class Exploit:
    def __reduce__(self):
        return (open, ("pwned", "w"))


def test_a_file_that_cannot_be_read_is_refused_like_a_damaged_one():
    for opened in (load, GAN.load_from_checkpoint):
        with pytest.raises(ValueError, match="/proc/self/mem is not a whole checkpoint"):
            opened("/proc/self/mem")


@pytest.mark.parametrize("plain_pickle", [False, True])
def test_code_in_a_file_is_not_run(plain_pickle, tmp_path):
    content = {"lightning_gans": Exploit()}
    if plain_pickle:
        (tmp_path / "bad.ckpt").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, "bad.ckpt")
    with pytest.raises(ValueError, match="holds more than plain data and tensors"):
        load("bad.ckpt")
    assert not (tmp_path / "pwned").exists()


def test_classes_that_are_not_imported_are_not_imported(monkeypatch, tmp_path):
    (tmp_path / "evil.py").write_text("open('pwned', 'w')\nclass Net: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    checkpoint = read_checkpoint(trained(GAN(data_shape=(2,))))
    checkpoint["hyper_parameters"]["generator"] = {"class_path": "evil.Net"}
    torch.save(checkpoint, "bad.ckpt")
    with pytest.raises(ValueError, match=r"generator: the file names 'evil\.Net'"):
        load("bad.ckpt")
    checkpoint["lightning_gans"]["class_path"] = "evil.Net"
    torch.save(checkpoint, "bad.ckpt")
    with pytest.raises(ValueError, match=r"model: the file names 'evil\.Net'"):
        load("bad.ckpt")
    assert not (tmp_path / "pwned").exists()
    assert "evil" not in sys.modules


def test_a_class_of_the_users_own_is_found_if_it_is_allowed(monkeypatch):
    module = types.ModuleType("my_gan")
    module.MyGAN = type("MyGAN", (GAN,), {"__module__": "my_gan"})
    monkeypatch.setitem(sys.modules, "my_gan", module)
    path = trained(module.MyGAN(data_shape=(2,)))
    for allow in ([module.MyGAN], ["my_gan"], "my_gan"):
        assert type(load(path, allow=allow)) is module.MyGAN
    assert type(module.MyGAN.load_from_checkpoint(path)) is module.MyGAN
    for allow in (["my_gan"], "my_gan", module.MyGAN):
        assert type(module.MyGAN.load_from_checkpoint(path, allow=allow)) is module.MyGAN
    # That it has been imported is not enough: so has much that was not made for this.
    message = r"the file names 'my_gan\.MyGAN', .* If you trust it, use allow=\[\"my_gan\"\]\."
    with pytest.raises(ValueError, match=message):
        load(path)
    monkeypatch.delitem(sys.modules, "my_gan")
    assert type(load(path, allow=module.MyGAN)) is module.MyGAN
    for allow, message in (
        (["my_gan"], "'my_gan' cannot be imported"),
        ([1], "must list classes or names of packages, got 1"),
    ):
        with pytest.raises(ValueError, match=f"allow: .*{message}"):
            load(path, allow=allow)


# States that are not finite


class Poison(pl.Callback):
    def __init__(self, where, update):
        self.where = where
        self.update = update

    def on_train_batch_end(self, trainer, model, *_):
        if trainer.global_step == self.update:
            if self.where == "weight":
                next(model.generator.parameters()).data[0] = float("nan")
            else:
                state = trainer.optimizers[0].state
                next(iter(state.values()))["exp_avg"][0] = float("inf")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("weight", r"state_dict\['generator\.layers\.0\.weight'\] is not finite"),
        ("optimizer", r"optimizer_states\[0\]\['state'\]\[0\]\['exp_avg'\] is not finite"),
    ],
)
def test_a_state_that_is_not_finite_never_replaces_a_good_one(where, message, tmp_path):
    saver = Checkpoint(dirpath=str(tmp_path), every_n_updates=2)
    with pytest.raises(ValueError, match=message):
        fitted(
            GAN(data_shape=(2,)),
            max_steps=6,
            enable_checkpointing=True,
            callbacks=[Poison(where, 4), saver],
        )
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 2
    assert all(v.isfinite().all() for v in kept["state_dict"].values())
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


class Masked(nn.Module):
    """A generator with a mask that is -inf by design, as of causal attention."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        mask = torch.full((2, 2), float("-inf")).triu(1)
        self.register_buffer("mask", mask)
        self.frozen = nn.Parameter(mask.clone(), requires_grad=False)

    def forward(self, z):
        shares = (self.mask + self.frozen).softmax(1)
        return self.layer(z) @ shares


class Spoil(pl.Callback):
    """Writes a value into the mask in training."""

    def __init__(self, value, place):
        self.value, self.place = value, place

    def on_train_batch_end(self, trainer, model, *_):
        if trainer.global_step == 2:
            model.generator.mask[self.place] = self.value


def masked():
    return GAN(data_shape=(2,), generator=Masked(), prior=UniformPrior(2))


def test_what_is_not_finite_by_design_is_saved_averaged_and_trained_on():
    average = GeneratorEMA(0.5)
    path = trained(masked(), callbacks=[average])
    mask = Masked().mask
    for network in (
        load(path, generator=Masked(), prior=UniformPrior(2)).generator,
        average.networks["generator"],
    ):
        assert torch.equal(network.mask, mask)
        assert torch.equal(network.frozen, mask)
    saver = Checkpoint(dirpath="more")
    trainer = quiet_trainer(4, enable_checkpointing=True, callbacks=[saver, GeneratorEMA(0.5)])
    trainer.fit(masked(), small_ring(), ckpt_path=path)
    state = torch.load("more/last.ckpt", weights_only=True)["state_dict"]
    assert torch.equal(state["generator.mask"], mask)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (float("nan"), (0, 1)),  # where it was -inf
        (float("inf"), (0, 1)),
        (float("-inf"), (1, 0)),  # where it was finite
    ],
)
def test_what_was_not_finite_by_design_may_not_become_so_otherwise(value, place):
    message = r"No checkpoint was written: state_dict\['generator\.mask'\] is not finite"
    with pytest.raises(ValueError, match=message):
        trained(masked(), callbacks=[Spoil(value, place)])


def test_it_may_become_finite():
    assert trained(masked(), callbacks=[Spoil(0.5, (0, 1))])


def test_lightnings_own_checkpoints_are_plain_and_finite_too(tmp_path):
    saver = pl.callbacks.ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=1, save_top_k=-1)
    model = GAN(data_shape=(2,), optimizer_g=partial(torch.optim.Adam, lr=1e-3))
    with pytest.raises(ValueError, match="No checkpoint was written"):
        fitted(
            model, max_steps=3, enable_checkpointing=True, callbacks=[Poison("weight", 2), saver]
        )
    (path,) = tmp_path.glob("*.ckpt")
    assert torch.equal(load(path).generator.layers[0].bias, load(path).generator.layers[0].bias)
    assert read_checkpoint(path)["global_step"] == 1
