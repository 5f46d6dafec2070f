"""What one update costs, counted rather than timed."""

from collections import Counter

import lightning.pytorch as pl
import pytest
import torch
from conftest import SMALL, quiet_trainer, small_ring
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_gans import CGAN, GAN, WGANGP
from lightning_gans.callbacks import Checkpoint, Evaluation, Pictures, Progress
from lightning_gans.core.players import Samples
from lightning_gans.core.priors import NormalPrior
from lightning_gans.optimizers import GANAdam

BATCH = 8


class Counted(nn.Module):
    """A network that notes how many samples each of its calls reads."""

    treats_samples_alone = True

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
    # The weight of the penalty, a scalar on the CPU, in the precision of the penalty.
    assert found.operations["aten._to_copy.default"] == 3


def test_a_row_of_logs_is_one_transfer(tmp_path, monkeypatch):
    transfers = []
    transfer = Tensor.tolist
    monkeypatch.setattr(Tensor, "tolist", lambda x: transfers.append(x.shape) or transfer(x))
    quiet = window(counted_model(n_critic=1), tmp_path)
    # The checkpoint at the end holds the sums: six of the critic, two of the generator.
    assert transfers == [(1, 8)]
    logged = window(counted_model(n_critic=1), tmp_path, every=4)
    # The row holds their means and two gradient norms.
    assert transfers == [(1, 8), (10,), (1, 8)]
    more = logged.operations - quiet.operations
    assert more["aten._local_scalar_dense.default"] == 0
    assert logged.counted == (2, 0)


@pytest.mark.slow
@pytest.mark.in_two_processes("count_costs")
def test_two_processes_send_the_gradients_of_who_plays_and_wait_for_nothing_else(left_behind):
    for rank in range(2):
        found = torch.load(left_behind / f"{rank}.pt")
        # One call for each update, with the gradients of the player whose turn it is.
        calls = {name: n for name, n in found["calls"].items() if name.startswith("c10d")}
        assert calls == {"c10d.allreduce_.default": 4 * (3 + 1)}
        assert "aten._local_scalar_dense.default" not in found["calls"]
        discriminator, generator = found["sizes"]
        assert found["sent"] == 4 * (3 * discriminator + generator)


# One pass over real and fake --------------------------------------------------------------------


@pytest.mark.parametrize("variant", [GAN, WGANGP, CGAN])
def test_one_pass_over_both_gives_the_logits_of_two(variant):
    classes = {"num_classes": 3} if variant is CGAN else {}
    model = variant(**SMALL, **classes).double()
    real, fake = torch.randn(2, 5, 2, dtype=torch.float64)
    labels = torch.randint(3, (5,)) if classes else None
    samples = Samples(real, fake, real, labels)
    apart = model._outputs_of_both(samples)
    model._joins = True
    together = model._outputs_of_both(samples)
    for one, other in zip(apart, together, strict=True):
        assert_close(one["logit"], other["logit"], rtol=0, atol=1e-12)


def test_adam_takes_a_whole_number_as_a_decay_rate():
    network = nn.Linear(2, 2)
    optimizer = GANAdam(network.parameters(), lr=1e-2, beta1=0, beta2=0.9)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert optimizer.param_groups[0]["betas"] == (0.0, 0.9)


def test_a_discriminator_with_batch_statistics_reads_real_and_fake_apart():
    layers = nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)
    network = Counted(nn.Sequential(*layers))
    model = GAN(generator=nn.Linear(2, 2), discriminator=network, prior=NormalPrior(2))
    quiet_trainer(1, limit_val_batches=0).fit(model, small_ring(batch_size=BATCH))
    assert network.calls[-3:] == [BATCH, BATCH, BATCH]


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


def test_a_group_of_parameters_keeps_what_it_says_of_itself():
    weight, bias = nn.Linear(2, 2).parameters()
    optimizer = GANAdam([{"params": weight, "fused": False}, {"params": bias}], beta1=0)
    assert [group["fused"] for group in optimizer.param_groups] == [False, True]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.0, 0.999)] * 2


def test_a_loaded_state_leaves_the_kernel_as_it_was_chosen():
    """It may be that of a run on another device, whose kernel does not fit this one."""
    weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    for weight in weights:
        weight.grad = torch.arange(3.0)
    there, here = GANAdam(weights[:1], lr=0.1), GANAdam(weights[1:], fused=False)
    there.step()
    here.load_state_dict(there.state_dict())
    (group,) = here.param_groups
    assert group["fused"] is None
    assert group["lr"] == 0.1
    assert torch.equal(here.state[weights[1]]["exp_avg"], there.state[weights[0]]["exp_avg"])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        GANAdam([{"params": weight} for weight in weights]).load_state_dict(there.state_dict())
