"""The unrolled GAN: a generator that looks at the discriminator's next steps."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrize
from torch.optim import Adam, Optimizer
from typing_extensions import override

from lightning_gans.core.gan import GAN
from lightning_gans.core.players import Player, Samples
from lightning_gans.core.turns import valued
from lightning_gans.losses import LossSource, Minimax
from lightning_gans.optimizers import GANAdam
from lightning_gans.regularizers import WeightRegularizer

__all__ = ["UnrolledGAN"]

TINY = 1e-30
"""Added to Adam's second moment, whose root has no gradient at 0."""
CLIP_EPS = 1e-6
"""Added to the norm of gradients that are clipped, as PyTorch does it."""
Weights = dict[str, Tensor]
"""Weights of the discriminator, by name."""
Moments = tuple[Tensor, Tensor, Tensor]
"""Adam's averages of the gradient and of its square, and the number of its steps."""


class _Holder(nn.Module):
    """Holds a network whose weights `functional_call` replaces while a function reads it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @override
    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns what the function returns."""
        return function(*arguments)


class UnrolledGAN(GAN):
    """The unrolled GAN: the generator plays against the discriminator of K steps later.

    Before each of its updates the discriminator's next steps are tried out, on the samples of this
    update. Its weights after them depend on the generated samples, and the generator's gradient
    runs through all of the steps. Then they are forgotten: the discriminator makes its one usual
    update, and its buffers stay as they are.

    The gradient has two parts: that of the generator's loss against the later discriminator, and
    that of minus the later discriminator's loss, ``train/lookahead``, through its weights. With a
    zero-sum loss, such as `Minimax`, the sum is the gradient of the paper's objective; with any
    other loss it is that of a GAN for K = 0. The steps are those of the whole loss with its
    regularizers, of which a lazy one counts in every step.

    Under several processes each takes the steps on its own samples, without the gradients of the
    others.

    References:
        Unrolled Generative Adversarial Networks (Metz et al., 2017), section 2,
        https://arxiv.org/abs/1611.02163, not compared with the paper. Its authors' notebook has
        five steps of the discriminator's own Adam (``inner_lr`` None) and this loss.

    Args:
        unrolling: K, the steps that are tried out, at least 1. Time and memory grow with it.
        inner_lr: learning rate of plain gradient steps, above 0. If it is None, they are those of
            the discriminator's own optimizer, which must be a plain Adam, with its averages so far
            and without weight decay. Gradients are clipped as in its own steps.
        loss: see `GAN`.
        **kwargs: as for `GAN`.

    Raises:
        ValueError: if an argument is out of range, or, before training, if weights of the
            discriminator are computed from others, or ``optimizer_d`` is no plain Adam while
            ``inner_lr`` is None.
    """

    def __init__(
        self,
        *,
        unrolling: int = 5,
        inner_lr: float | None = None,
        loss: LossSource = Minimax,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss=loss, **kwargs)
        if unrolling < 1:
            raise ValueError(
                f"unrolling must be at least 1, got {unrolling}. Use GAN for no steps."
            )
        if inner_lr is not None and not 0 < inner_lr < float("inf"):
            raise ValueError(
                f"inner_lr must be finite and above 0, got {inner_lr}. Use None for the steps "
                "of the discriminator's own Adam."
            )
        self.unrolling = unrolling
        self.inner_lr = inner_lr
        self._holder = (_Holder(self.discriminator),)  # a tuple, whose modules are not registered
        self._stepped: list[str] = []
        self._moments: dict[str, Moments] = {}
        self._adam: tuple[Tensor, ...] = ()

    @override
    def configure_players(self) -> list[Player]:
        named = self.discriminator.named_parameters()
        self._stepped = [name for name, weight in named if weight.requires_grad]
        return super().configure_players()

    @override
    def check_networks(self) -> None:
        if any(parametrize.is_parametrized(part) for part in self.discriminator.modules()):
            raise ValueError(
                "discriminator: UnrolledGAN steps its weights, but those of a layer are computed "
                "from others, as SpectralNorm does. Use a discriminator without, and a penalty."
            )
        super().check_networks()

    @override
    def configure_optimizers(self) -> tuple[list[Optimizer], list[Any]]:
        optimizers, schedulers = super().configure_optimizers()
        if self.inner_lr is None:
            _check_adam(optimizers[0])
        self._moments = {}
        return optimizers, schedulers

    @override
    def after_turn(self, player: Player, seen: Any, terms: Mapping[str, Tensor]) -> None:
        super().after_turn(player, seen, terms)
        if player.name == "discriminator" and self.inner_lr is None:
            self._read_adam(self.trainer.optimizers[0])

    @override
    def generator_loss(self, samples: Samples) -> dict[str, Tensor]:
        with torch.enable_grad():  # the losses are tried without, before training
            later = self._unrolled(samples)
        fixed = {name: weight.detach() for name, weight in later.items()}
        terms = self._against(fixed, super().generator_loss, samples)
        still = replace(samples, fake=samples.fake.detach())
        return {**terms, "lookahead": -self._against(later, self._whole_loss, still)}

    def _unrolled(self, samples: Samples) -> Weights:
        """Returns the weights of the discriminator after K steps."""
        named = dict(self.discriminator.named_parameters())
        weights = {name: named[name].detach() for name in self._stepped}
        if not torch.compiler.is_compiling():  # where torch.func needs none
            weights = {name: weight.requires_grad_() for name, weight in weights.items()}
        moments = self._moments
        for _ in range(self.unrolling):
            gradients = self._gradients(weights, samples)
            if self.inner_lr is not None:
                weights = {n: w - self.inner_lr * gradients[n] for n, w in weights.items()}
            elif moments:
                weights, moments = self._adam_step(weights, gradients, moments)
        return weights

    def _gradients(self, weights: Weights, samples: Samples) -> Weights:
        """Returns the gradients of the discriminator's loss, with graphs."""

        def loss(weights: Weights) -> Tensor:
            return self._against(weights, self._whole_loss, samples)

        if torch.compiler.is_compiling():  # which cannot differentiate autograd.grad once more
            return self._clipped(torch.func.grad(loss)(weights))
        found = torch.autograd.grad(
            loss(weights), [*weights.values()], create_graph=True, materialize_grads=True
        )
        return self._clipped(dict(zip(weights, found, strict=True)))

    def _clipped(self, gradients: Weights) -> Weights:
        """Returns gradients as long as those that the discriminator's own steps are made of."""
        if self.gradient_clip_norm is None:
            return gradients
        squares = [gradient.square().sum() for gradient in gradients.values()]
        norm = (torch.stack(squares).sum() + TINY).sqrt()
        factor = (self.gradient_clip_norm / (norm + CLIP_EPS)).clamp(max=1.0)
        return {name: factor * gradient for name, gradient in gradients.items()}

    def _against(self, weights: Weights, function: Callable[[Samples], Any], seen: Samples) -> Any:
        """Returns a function of samples, where the discriminator has other weights.

        What it does to its buffers is done to copies.
        """
        buffers = {name: buffer.clone() for name, buffer in self.discriminator.named_buffers()}
        state = {f"network.{name}": value for name, value in {**weights, **buffers}.items()}
        return functional_call(self._holder[0], state, (function, seen))

    def _whole_loss(self, samples: Samples) -> Tensor:
        """Returns the discriminator's loss with its regularizers; it logs nothing."""
        real, fake = self._outputs_of_both(samples)
        terms = [self.loss.discriminator(real["logit"], fake["logit"])]
        terms += self.auxiliary_d(real, fake, samples).values()
        views = [valued(view, self.loss) for view in self.views(samples)]
        for part in self.regularizers:
            on_weights = isinstance(part, WeightRegularizer)
            terms += [part([self.discriminator])] if on_weights else map(part, views)
        return torch.stack(terms).sum()

    # Adam ----------------------------------------------------------------------------------------

    def _read_adam(self, optimizer: Optimizer) -> None:
        """Notes averages and settings of the discriminator's optimizer, as tensors.

        Numbers would make a compiled loss anew whenever a schedule changes them.
        """
        (group,) = optimizer.param_groups
        numbers = (group["lr"], *group["betas"], group["eps"])
        self._adam = tuple(torch.as_tensor(n, dtype=torch.float64) for n in numbers)
        named = dict(self.discriminator.named_parameters())
        states = {name: optimizer.state[named[name]] for name in self._stepped}
        self._moments = {
            name: (state["exp_avg"], state["exp_avg_sq"], state["step"])
            for name, state in states.items()
            if state  # fp16 may leave the first steps out, and an unused layer is never stepped
        }

    def _adam_step(
        self, weights: Weights, gradients: Weights, moments: Mapping[str, Moments]
    ) -> tuple[Weights, dict[str, Moments]]:
        """Returns weights and averages after a step."""
        lr, beta1, beta2, eps = self._adam
        stepped, moved = {}, {}
        for name, weight in weights.items():
            if name not in moments:
                stepped[name] = weight
                continue
            gradient, (first, second, number) = gradients[name], moments[name]
            first = beta1 * first + (1 - beta1) * gradient
            second = beta2 * second + (1 - beta2) * gradient.square()
            number = number + 1
            root = (second / (1 - beta2**number) + TINY).sqrt()
            stepped[name] = weight - lr / (1 - beta1**number) * first / (root + eps)
            moved[name] = first, second, number
        return stepped, moved


def _check_adam(optimizer: Optimizer) -> None:
    """Refuses an optimizer whose steps are not those that are tried out."""
    name = type(optimizer).__name__
    if type(optimizer) not in (Adam, GANAdam):
        raise ValueError(
            f"inner_lr: optimizer_d is {name}, but without inner_lr the steps are those of a "
            "plain Adam. Use inner_lr 0.1, or GANAdam."
        )
    if len(optimizer.param_groups) > 1:
        raise ValueError(
            f"inner_lr: optimizer_d has {len(optimizer.param_groups)} groups of weights, but the "
            "steps without inner_lr have the settings of one. Use inner_lr 0.1, or one group."
        )
    for setting in ("amsgrad", "maximize"):
        if optimizer.param_groups[0].get(setting):
            raise ValueError(
                f"inner_lr: optimizer_d is {name} with {setting}, which the steps without "
                f"inner_lr do not support. Use inner_lr 0.1, or leave {setting} out."
            )
