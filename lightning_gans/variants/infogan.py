"""InfoGAN: a GAN whose samples reveal the code that they are generated from."""

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn.functional import cross_entropy
from typing_extensions import override

from lightning_gans.core.building import check_weights
from lightning_gans.core.gan import GAN
from lightning_gans.core.outputs import Outputs
from lightning_gans.core.players import Samples
from lightning_gans.core.priors import CodePrior, Prior, UniformPrior
from lightning_gans.losses import gaussian_nll
from lightning_gans.networks import evaluation_mode
from lightning_gans.optimizers import GANAdam

__all__ = ["InfoGAN"]


class InfoGAN(GAN):
    """The GAN that maximizes the information of codes in its samples.

    A posterior Q reads the codes c of generated samples, and both players want it to succeed: its
    surprise -log Q(c|x) is added to both losses. Codes are a part of the prior. Q is a head of the
    discriminator, or a network of its own if that is a `SeparatePosterior`. In both cases it
    belongs to the discriminator's player, which updates it, and the generator learns through it
    while it is frozen. Real samples have no codes.

    ``train/mi_bound_<code>`` is the lower bound H(c) - E[-log Q(c|x)] of the mutual information of
    a code and the samples, in nats: for each categorical code, ``category``, ``category_2``, ...,
    at most ln K, and for all ``continuous`` codes together. With a standard deviation of 1 the
    latter is at most -0.23 for each of them and bounds nothing. ``train/code_accuracy_<code>`` is
    the share of values that Q reads right, and ``train/code_error`` the mean squared error of the
    continuous codes, 1/3 if it reads nothing. That Q reads a code does not mean that the code is a
    class of the data, or a slant: see `lightning_gans.metrics.CodeInformation` and `CodeStyles`.

    References:
        InfoGAN: Interpretable Representation Learning by Information Maximizing Generative
        Adversarial Nets (Chen et al., 2016), equations 5 and 6, https://arxiv.org/abs/1606.03657,
        which were not compared with the paper. Who is updated, weights, standard deviation, and
        the defaults of prior and optimizers are those of the authors' code.

    Args:
        prior: a `CodePrior`, of noise and codes.
        discriminator: as for `GAN`. It is made with ``num_outputs`` 1 + D, or gives outputs of
            shape (N, 1 + D), where D are the outputs of Q: logits of the values of each
            categorical code, the means of the continuous codes, and if ``learned_sd`` the logs of
            their standard deviations.
        category_weight: factor of the surprise about categorical codes, at least 0; the authors'
            is 1.
        continuous_weight: likewise of continuous codes.
        learned_sd: whether Q tells standard deviations, too; in the authors' experiment on digits
            they are 1.
        optimizer_g: makes the generator's optimizer from its parameters.
        optimizer_d: makes that of the discriminator and of Q.
        **kwargs: as for `GAN`, but without classes, whose place the codes take.

    Raises:
        ValueError: if a weight is below 0, the prior has no codes, or there are classes.
    """

    prior: CodePrior

    def __init__(
        self,
        *,
        prior: Prior | None = None,
        category_weight: float = 1.0,
        continuous_weight: float = 1.0,
        learned_sd: bool = False,
        optimizer_g: OptimizerCallable = lambda p: GANAdam(p, lr=1e-3, beta1=0.5, beta2=0.999),
        optimizer_d: OptimizerCallable = lambda p: GANAdam(p, lr=2e-4, beta1=0.5, beta2=0.999),
        **kwargs: Any,
    ) -> None:
        prior = CodePrior(UniformPrior(62), [10], 2) if prior is None else prior
        if not isinstance(prior, CodePrior):
            raise ValueError(
                f"prior: it must have codes, got {prior}. Use a CodePrior with that as noise."
            )
        if kwargs.get("num_classes") is not None:
            raise ValueError(
                f"num_classes: InfoGAN has no classes, got {kwargs['num_classes']}, since codes "
                "take their place. Leave it out, or use CGAN or ACGAN."
            )
        if learned_sd and not prior.continuous:
            raise ValueError(
                f"learned_sd: the prior has no continuous codes whose deviations Q could tell, "
                f"got {prior}. Leave it out."
            )
        check_weights(category_weight=category_weight, continuous_weight=continuous_weight)
        self.learned_sd = learned_sd  # which `heads` reads
        super().__init__(prior=prior, optimizer_g=optimizer_g, optimizer_d=optimizer_d, **kwargs)
        self.category_weight = category_weight
        self.continuous_weight = continuous_weight

    @override
    def heads(self) -> dict[str, int]:
        more = {"log_sd": self.prior.continuous} if self.learned_sd else {}
        return {**self.prior.sizes, **more}

    @override
    def auxiliary_d(self, real: Outputs, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        surprises = self.surprises(fake, samples, notes=True)
        return {f"{name}_d": term for name, term in surprises.items()}

    @override
    def auxiliary_g(self, fake: Outputs, samples: Samples) -> dict[str, Tensor]:
        return {f"{name}_g": term for name, term in self.surprises(fake, samples).items()}

    def surprises(
        self, fake: Outputs, samples: Samples, *, notes: bool = False
    ) -> dict[str, Tensor]:
        """Returns E[-log Q(c|x)] in nats for each code, times its weight.

        Args:
            fake: outputs of the generated samples.
            samples: with the latents that these are generated from.
            notes: whether the bounds, and how well Q reads, are added to the log.
        """
        assert samples.latent is not None
        codes, entropies = self.prior.split(samples.latent), self.prior.entropies
        found, noted = {}, {}
        for name, values in zip(entropies, codes.categories, strict=False):
            surprise = cross_entropy(fake[name], values)
            found[name] = self.category_weight * surprise
            noted[f"mi_bound_{name}"] = entropies[name] - surprise
            noted[f"code_accuracy_{name}"] = (fake[name].argmax(1) == values).float()
        if self.prior.continuous:
            mean = fake["continuous"]
            log_sd = fake["log_sd"] if self.learned_sd else torch.zeros_like(mean)
            surprise = gaussian_nll(codes.continuous, mean, log_sd)
            found["continuous"] = self.continuous_weight * surprise
            noted["mi_bound_continuous"] = entropies["continuous"] - surprise
            noted["code_error"] = (mean - codes.continuous).square()
        if notes:
            self.note(**noted)
        return found

    @torch.no_grad()
    def read_codes(self, x: Tensor) -> dict[str, Tensor]:
        """Returns what Q reads in samples, in evaluation mode, by the names of `CodePrior.sizes`.

        Args:
            x: samples, shape (N, ...).

        Returns:
            The probabilities of the values of each categorical code, shape (N, K), and the means
            of the continuous codes, shape (N, C).
        """
        with evaluation_mode(self.discriminator):
            out = self.outputs(x)
        return {n: out[n] if n == "continuous" else out[n].softmax(1) for n in self.prior.sizes}
