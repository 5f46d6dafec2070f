"""Discriminators of bounded slope: wrappers of any discriminator."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrizations import spectral_norm
from typing_extensions import override

from lightning_gans.networks.features import outputs_with_features
from lightning_gans.networks.inspect import compares_samples, has_batch_statistics
from lightning_gans.networks.mlp import MLPDiscriminator
from lightning_gans.networks.sources import DiscriminatorSource

__all__ = ["GradientNormalization", "SpectralNorm", "normalize_spectrally"]

SMALLEST = 1e-6
"""Of the denominators of gradient normalization, which may be 0."""


def normalize_spectrally(network: nn.Module) -> int:
    """Gives each layer of a network the spectral norm 1; returns how many layers that are.

    The weights have to be initialized before: what an initializer writes into the weight of a
    layer that is normalized is lost.

    Args:
        network: its linear and convolutional layers and its embeddings, as matrices with a row
            for each filter or entry.
    """
    kinds = nn.Linear | _ConvNd | nn.Embedding
    layers = [part for part in network.modules() if isinstance(part, kinds)]
    for layer in layers:
        spectral_norm(layer)
    return len(layers)


class DiscriminatorWrapper(nn.Module):
    """Base of the wrappers of a discriminator.

    Args:
        data_shape: shape of one sample, without the batch; not needed if ``network`` is a module.
        network: a discriminator, or what makes one from ``data_shape``.
        num_classes: handed to what makes the network, unless it is None.
        num_outputs: likewise, unless it is 1.
    """

    def __init__(
        self,
        data_shape: tuple[int, ...] | None,
        network: DiscriminatorSource,
        num_classes: int | None,
        num_outputs: int,
    ) -> None:
        super().__init__()
        if isinstance(network, nn.Module):
            self.network: nn.Module = network
            return
        if data_shape is None:
            raise ValueError(
                f"{type(self).__name__}: data_shape must be given, unless network is a module."
            )
        sizes: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
        sizes |= {} if num_outputs == 1 else {"num_outputs": num_outputs}
        self.network = network(data_shape, **sizes)


class SpectralNorm(DiscriminatorWrapper):
    """Wraps a discriminator and divides each layer's weights by their largest singular value.

    Each linear or convolutional layer is then 1-Lipschitz, as a matrix of its filters, and so is
    each embedding, as a matrix of its rows. The value comes from PyTorch's power iteration, of
    which an update makes one. It is moved in training mode alone.

    References:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018),
        algorithm 1, https://arxiv.org/abs/1802.05957

    Args:
        data_shape: shape of one sample, without the batch; not needed if ``network`` is a module.
        network: a discriminator, or what makes one from ``data_shape``. A module is changed in
            place.
        scale: factor of the outputs, above 0; 1 in the paper. A discriminator of slope 1 sees
            modes that are narrow in the units of the data as flat: raise it there.
        num_classes: classes that a sample is read with; none if it is not given.
        num_outputs: numbers for each sample, at least 1.

    Raises:
        ValueError: if ``scale`` is out of range, or the network has no such layer, or one with
            weights that are no such layer's.

    Example:
        >>> critic = SpectralNorm((2,), scale=4.0)
        >>> critic(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...] | None = None,
        network: DiscriminatorSource = MLPDiscriminator,
        scale: float = 1.0,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        super().__init__(data_shape, network, num_classes, num_outputs)
        if not 0 < scale < float("inf"):
            raise ValueError(
                f"SpectralNorm: scale must be finite and above 0, got {scale}. Use 1 as in "
                "the paper."
            )
        self.scale = scale
        kinds = nn.Linear | _ConvNd | nn.Embedding | nn.LayerNorm
        for part in self.network.modules():
            weight = None if isinstance(part, kinds) else getattr(part, "weight", None)
            if isinstance(weight, nn.Parameter) and weight.ndim > 1:
                raise ValueError(
                    f"SpectralNorm: it cannot normalize the weights of {type(part).__name__}, "
                    f"which {type(self.network).__name__} has. Use another network, or a penalty "
                    "such as R1."
                )
        if not normalize_spectrally(self.network):
            raise ValueError(
                f"SpectralNorm: {type(self.network).__name__} has no linear or convolutional "
                "layer. Use another network."
            )

    @override
    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Maps samples to outputs, as the network does."""
        return self.scale * self.network(x, *labels)

    def with_features(self, x: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs and features: see `outputs_with_features`."""
        outputs, features = outputs_with_features(self.network, x, *labels)
        return self.scale * outputs, features


class GradientNormalization(DiscriminatorWrapper):
    """Wraps a discriminator f and makes it f / (||gradient of f|| + |f|), which is in [-1, 1].

    Its slope is at most 1 if f is linear piece by piece, as with ReLU layers. It costs a second
    derivative in the turns of both players.

    References:
        Gradient Normalization for Generative Adversarial Networks (Wu et al., 2021),
        https://arxiv.org/abs/2109.02235. Its authors' code is undefined where f and its gradient
        are 0; here the denominator is at least 1e-6.

    Args:
        data_shape: shape of one sample, without the batch; not needed if ``network`` is a module.
        network: a discriminator with one number for each sample, or what makes one from
            ``data_shape``.
        num_classes: classes that a sample is read with; none if it is not given.
        num_outputs: must be 1.

    Raises:
        ValueError: if the network has BatchNorm layers, compares samples or has several outputs.

    Example:
        >>> critic = GradientNormalization((2,))
        >>> critic(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        data_shape: tuple[int, ...] | None = None,
        network: DiscriminatorSource = MLPDiscriminator,
        num_classes: int | None = None,
        num_outputs: int = 1,
    ) -> None:
        if num_outputs != 1:
            raise ValueError(
                f"GradientNormalization: num_outputs must be 1, got {num_outputs}, since it has "
                "one gradient for each sample. Use SpectralNorm."
            )
        super().__init__(data_shape, network, num_classes, num_outputs)
        if has_batch_statistics(self.network):
            raise ValueError(
                f"GradientNormalization: {type(self.network).__name__} has BatchNorm layers, "
                "which make each output depend on the whole batch, but it reads the gradient of "
                "each sample alone. Give it no normalization, or one of each sample alone, such "
                "as torch.nn.InstanceNorm2d."
            )
        if compares_samples(self.network):
            raise ValueError(
                f"GradientNormalization: {type(self.network).__name__} compares the samples of a "
                "batch, but it reads the gradient of each sample alone. Use SpectralNorm."
            )

    @override
    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Maps samples to outputs, shape (N,).

        Raises:
            ValueError: if the network gives several numbers for a sample.
        """
        if torch.compiler.is_compiling():  # which cannot differentiate autograd.grad once more
            outputs, gradient = self._compiled(x, *labels)
        else:
            outputs, gradient = self._differentiated(x, *labels)
        norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return outputs / (norms + outputs.abs()).clamp(min=SMALLEST)

    def with_features(self, x: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs and features, which are the network's, from a pass of their own."""
        return self(x, *labels), outputs_with_features(self.network, x, *labels)[1]

    def _differentiated(self, x: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs and their gradients, with graphs if they are wanted."""
        wanted = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone() if x.is_inference() else x
            # A tensor of its own: the network's weights may depend on the samples, too.
            x = x.view_as(x) if wanted and x.requires_grad else x.detach().requires_grad_()
            outputs = self._numbers(x, *labels)
            (gradient,) = torch.autograd.grad(outputs.sum(), x, create_graph=wanted)
        return (outputs, gradient) if wanted else (outputs.detach(), gradient)

    def _compiled(self, x: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        def total(points: Tensor) -> tuple[Tensor, Tensor]:
            outputs = self._numbers(points, *labels)
            return outputs.sum(), outputs

        gradient, outputs = torch.func.grad(total, has_aux=True)(x)
        return outputs, gradient

    def _numbers(self, x: Tensor, *labels: Tensor) -> Tensor:
        outputs = self.network(x, *labels)
        if outputs.numel() != len(x):
            raise ValueError(
                "GradientNormalization: its network must give one number for each sample, but "
                f"the outputs for {len(x)} samples have shape {tuple(outputs.shape)}. Use "
                "SpectralNorm."
            )
        return outputs.reshape(len(x))
