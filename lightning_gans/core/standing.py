"""BatchNorm's statistics of the latents that are to be sampled, in place of those of training."""

import copy
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_gans.core.latent import LatentModule
from lightning_gans.randomness import STANDING, reseed

__all__ = ["check_standing", "standing_statistics"]


def standing_statistics(
    model: LatentModule, latents: Iterable[Tensor], seed: int = 0
) -> nn.Module:
    """Returns a copy of a generator whose BatchNorms have the statistics of some latents.

    The copy is in evaluation mode. Its means and variances are the plain means of those of the
    batches, as BatchNorm finds them in training; all other layers read the batches in evaluation
    mode. Samples of truncated latents need that: their statistics are not those of training. The
    model and PyTorch's generators are left as they are.

    References:
        Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al., 2019),
        https://arxiv.org/abs/1809.11096, whose authors' code calls them standing statistics, of 16
        batches. Its variances are divided by the number of values; here they are PyTorch's, by one
        less.

    Args:
        model: whose generator it is, or the average that is evaluated in its place.
        latents: batches of at least 2, shape (N, Z) each. The classes, if there are any, are
            drawn, all equally likely.
        seed: decides the classes.

    Raises:
        ValueError: if the generator has no statistics.
    """
    check_standing(model, "model")
    device = model.device
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.inference_mode(False),  # whose tensors nothing could be written into afterwards
        torch.no_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        view = copy.copy(model.evaluated)
        generator = copy.deepcopy(view.generator).eval()
        view._modules = {**view._modules, "generator": generator}
        norms = _norms(generator)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches
            norm.train()
        for number, latent in enumerate(latents):
            reseed(device, seed, STANDING, number)
            labels = model.sample_labels(len(latent))
            view.generate(latent.to(device, cast("torch.dtype", model.dtype)), labels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return generator.eval()


def check_standing(model: LatentModule, name: str) -> None:
    """Refuses a model whose generator has no statistics of batches.

    Args:
        model: that is to be sampled from.
        name: of what asks for them.

    Raises:
        ValueError: if it has none.
    """
    if not _norms(model.generator):
        raise ValueError(
            f"{name}: the generator, a {type(model.generator).__name__}, has no BatchNorm layers "
            f"with statistics to estimate. Leave {name} out."
        )


def _norms(network: nn.Module) -> list[_BatchNorm]:
    """Returns the layers that keep statistics of batches."""
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    return [norm for norm in norms if norm.running_mean is not None]
