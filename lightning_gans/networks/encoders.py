"""Encoders, and discriminators of pairs of a sample and a latent."""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.dcgan import DCGANDiscriminator
from lightning_gans.networks.endings import ending
from lightning_gans.networks.features import chain_with_features
from lightning_gans.networks.mlp import MLPDiscriminator
from lightning_gans.networks.sgan import GaussianNoise
from lightning_gans.networks.shapes import check_sizes

__all__ = ["DCGANEncoder", "DCGANJointDiscriminator", "MLPEncoder", "MLPJointDiscriminator"]


class _Encoder(nn.Module):
    """Turns the outputs of a network into codes, or into their means and deviations.

    Args:
        latent_dim: Z, the number of entries of one code.
        stochastic: whether it tells deviations.
        make: makes the network from ``num_outputs``.
    """

    def __init__(self, latent_dim: int, stochastic: bool, make: Callable[..., nn.Module]) -> None:
        super().__init__()
        check_sizes(latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.stochastic = stochastic
        self.network = make(num_outputs=(1 + stochastic) * latent_dim)

    @override
    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Returns codes, shape (N, Z), or mean and log of the standard deviation of each entry.

        Args:
            x: samples, shape (N, ...).
        """
        outputs: Tensor = self.network(x).reshape(x.shape[0], -1)
        if not self.stochastic:
            return outputs
        mean, log_sd = outputs.chunk(2, 1)
        return mean, log_sd


class MLPEncoder(_Encoder):
    """Creates a perceptron from data of any shape to codes.

    Args:
        latent_dim: Z, the number of entries of one code.
        data_shape: shape of one sample, without the batch.
        hidden: units of each hidden layer.
        activation: after every hidden layer.
        normalization: as for `MLPDiscriminator`.
        stochastic: whether it tells mean and deviation of each entry in the place of codes.
        input_noise: standard deviation of the normal noise that is added to samples in training,
            at least 0.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> import torch
        >>> MLPEncoder(5, (1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 5])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        hidden: Sequence[int] = (128, 128, 128),
        activation: Callable[[], nn.Module] = nn.ReLU,
        normalization: Callable[[int], nn.Module] | None = None,
        stochastic: bool = False,
        input_noise: float = 0.0,
    ) -> None:
        noise = GaussianNoise(input_noise)

        def make(num_outputs: int) -> nn.Module:
            network = MLPDiscriminator(
                data_shape, hidden, activation, normalization, num_outputs=num_outputs
            )
            return nn.Sequential(noise, network) if noise.sd > 0 else network

        super().__init__(latent_dim, stochastic, make)


class DCGANEncoder(_Encoder):
    """Creates an encoder of images of the layers of `DCGANDiscriminator`.

    Args:
        latent_dim: Z, the number of entries of one code.
        data_shape: (C, H, W) of one image; both sides must halve at least twice.
        width: channels after the first layer, at least 1; every further layer doubles them.
        normalization: as for `DCGANDiscriminator`.
        hidden: likewise.
        stochastic: whether it tells mean and deviation of each entry in the place of codes.

    Raises:
        ValueError: if the image cannot be halved often enough, or a size is out of range.

    Example:
        >>> import torch
        >>> mean, log_sd = DCGANEncoder(5, (3, 32, 32), stochastic=True)(torch.zeros(2, 3, 32, 32))
        >>> mean.shape, log_sd.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int = 64,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        hidden: int | None = None,
        stochastic: bool = False,
    ) -> None:
        def make(num_outputs: int) -> nn.Module:
            return DCGANDiscriminator(
                data_shape, width, normalization, hidden=hidden, num_outputs=num_outputs
            )

        super().__init__(latent_dim, stochastic, make)


class _JointDiscriminator(nn.Module):
    """Base of the networks that read a sample and a latent.

    Attributes:
        layers: what reads both, which a subclass makes.
    """

    layers: nn.Sequential

    def joined(self, x: Tensor, latent: Tensor) -> Tensor:
        """Returns what the layers read.

        Args:
            x: samples, shape (N, ...).
            latent: shape (N, Z).
        """
        return torch.cat([x.flatten(1), latent], 1)

    @override
    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """Maps pairs to outputs, shape (N,) or (N, outputs).

        Args:
            x: samples, shape (N, ...).
            latent: shape (N, Z).
        """
        return self.layers(self.joined(x, latent))

    def with_features(self, x: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs and features: see `outputs_with_features`."""
        return chain_with_features(self.layers, self.joined(x, latent))


class MLPJointDiscriminator(_JointDiscriminator):
    """Creates a perceptron that reads the entries of a sample and those of a latent.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: shape of one sample, without the batch.
        hidden: units of each hidden layer.
        activation: after every hidden layer.
        normalization: as for `MLPDiscriminator`.
        num_outputs: numbers for each pair, at least 1.

    Raises:
        ValueError: if a size is out of range.

    Example:
        >>> import torch
        >>> judge = MLPJointDiscriminator(5, (1, 28, 28))
        >>> judge(torch.zeros(2, 1, 28, 28), torch.zeros(2, 5)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        hidden: Sequence[int] = (128, 128, 128),
        activation: Callable[[], nn.Module] = nn.ReLU,
        normalization: Callable[[int], nn.Module] | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        entries = (prod(data_shape) + latent_dim,)
        self.layers = MLPDiscriminator(
            entries, hidden, activation, normalization, num_outputs=num_outputs
        ).layers


class DCGANJointDiscriminator(_JointDiscriminator):
    """Creates a discriminator that reads an image by convolutions, and then the latent with it.

    The image goes through the layers of `DCGANDiscriminator` but for the last one, the latent
    through a layer of its own, and both through one more before the output.

    References:
        Adversarially Learned Inference (Dumoulin et al., 2017), figure 1 and its appendix on
        architectures, https://arxiv.org/abs/1606.00704, for this way to read a pair. The sizes
        are chosen, and there is no dropout.

    Args:
        latent_dim: Z, the number of entries of one latent.
        data_shape: (C, H, W) of one image; both sides must halve at least twice.
        width: channels after the first layer, at least 1; every further layer doubles them.
        normalization: as for `DCGANDiscriminator`; None with a penalty on each sample's gradient.
        hidden: units of the layer of the latent, and of that of both, at least 1.
        num_outputs: numbers for each pair, at least 1.

    Raises:
        ValueError: if the image cannot be halved often enough, or a size is out of range.

    Example:
        >>> import torch
        >>> judge = DCGANJointDiscriminator(5, (1, 28, 28), width=4)
        >>> judge(torch.zeros(2, 1, 28, 28), torch.zeros(2, 5)).shape
        torch.Size([2])
    """

    treats_samples_alone = True

    def __init__(
        self,
        latent_dim: int,
        data_shape: tuple[int, ...],
        width: int = 64,
        normalization: Callable[[int], nn.Module] | None = nn.BatchNorm2d,
        hidden: int = 256,
        num_outputs: int = 1,
    ) -> None:
        super().__init__()
        check_sizes(latent_dim=latent_dim, hidden=hidden, num_outputs=num_outputs)
        *convolutions, last = DCGANDiscriminator(data_shape, width, normalization).layers[:-1]
        assert isinstance(last, nn.Linear)
        self.image = nn.Sequential(*convolutions)
        self.latent = nn.Sequential(nn.Linear(latent_dim, hidden), nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(
            nn.Linear(last.in_features + hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, num_outputs),
            *ending(None, num_outputs),
        )

    @override
    def joined(self, x: Tensor, latent: Tensor) -> Tensor:
        return super().joined(self.image(x), self.latent(latent))
