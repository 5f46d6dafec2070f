"""Networks that map samples of one kind to samples of another: CycleGAN's, and small ones."""

from collections.abc import Callable, Sequence
from math import prod

from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.networks.endings import ending, range_of
from lightning_gans.networks.mlp import hidden_layers
from lightning_gans.networks.patch import draw_weights, needs_bias
from lightning_gans.networks.shapes import check_sizes, image_shape

__all__ = ["LocalTranslator", "MLPTranslator", "ResNetTranslator", "SmallTranslator"]

Normalization = Callable[[int], nn.Module] | None


class _Residual(nn.Module):
    """Adds what a chain of layers makes of its input to this."""

    treats_samples_alone = True

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class _Chain(nn.Module):
    """A translator that is a chain of layers."""

    treats_samples_alone = True

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.output_range = range_of(layers[-1])
        self.layers = nn.Sequential(*layers)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Maps images, shape (N, C, H, W), to images of the same height and width."""
        made: Tensor = self.layers(x)
        return made


def _channels(
    source_shape: tuple[int, ...], data_shape: tuple[int, ...], stride: int
) -> tuple[int, int]:
    """Returns the channels that a translator reads and makes.

    Raises:
        ValueError: if the images have different sides, or such that do not fit the stride.
    """
    read, made = (image_shape(shape, stride) for shape in (source_shape, data_shape))
    if read[1:] != made[1:]:
        raise ValueError(
            f"data_shape: a translator keeps the sides of an image, but it is to read "
            f"{read[1]} x {read[2]} and to make {made[1]} x {made[2]} pixels. Use one size."
        )
    return read[0], made[0]


class ResNetTranslator(_Chain):
    """Creates the translator of CycleGAN: residual blocks on an image of a quarter of the sides.

    References:
        | Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et
        | al., 2017), section 7.2, https://arxiv.org/abs/1703.10593
        | Perceptual Losses for Real-Time Style Transfer and Super-Resolution (Johnson et al.,
        | 2016), https://arxiv.org/abs/1603.08155, whose network it is

        As in the authors' code it has 11,378,179 parameters with 9 blocks and 7,837,699 with 6.

    Args:
        source_shape: (C, H, W) of an image that is read; both sides are multiples of 4.
        data_shape: (C, H, W) of an image that is made; height and width are the same.
        width: channels of the first layer, at least 1.
        blocks: residual blocks, at least 1: 9 for 256 pixels as published, 6 for 128.
        normalization: called with the number of channels, after every layer but the last; none if
            it is None.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.

    Attributes:
        stride: images fit whose sides are multiples of it.
        output_range: the least and the greatest value that it makes, if ``output`` is a layer with
            such bounds.

    Raises:
        ValueError: if the sides do not fit, or a size is out of range.

    Example:
        >>> import torch
        >>> translator = ResNetTranslator((1, 28, 28), (3, 28, 28), width=8, blocks=2)
        >>> translator(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 3, 28, 28])
    """

    treats_samples_alone = True
    stride = 4

    def __init__(
        self,
        source_shape: tuple[int, ...],
        data_shape: tuple[int, ...],
        width: int = 64,
        blocks: int = 9,
        normalization: Normalization = nn.InstanceNorm2d,
        output: Callable[[], nn.Module] | None = nn.Tanh,
    ) -> None:
        check_sizes(width=width, blocks=blocks)
        read, made = _channels(source_shape, data_shape, self.stride)
        bias = needs_bias(normalization)

        def normalized(channels: int, activation: bool = True) -> list[nn.Module]:
            found = [] if normalization is None else [normalization(channels)]
            return [*found, *([nn.ReLU()] if activation else ())]

        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(read, width, 7, bias=bias)]
        layers += normalized(width)
        for channels in (width, 2 * width):
            layers.append(nn.Conv2d(channels, 2 * channels, 3, 2, 1, bias=bias))
            layers += normalized(2 * channels)
        for _ in range(blocks):
            convolutions = (nn.Conv2d(4 * width, 4 * width, 3, bias=bias) for _ in range(2))
            layers.append(
                _Residual(
                    *(nn.ReflectionPad2d(1), next(convolutions), *normalized(4 * width)),
                    *(nn.ReflectionPad2d(1), next(convolutions), *normalized(4 * width, False)),
                )
            )
        for channels in (4 * width, 2 * width):
            half = channels // 2
            layers.append(nn.ConvTranspose2d(channels, half, 3, 2, 1, 1, bias=bias))
            layers += normalized(half)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, made, 7), *ending(output)]
        super().__init__(*layers)
        self.apply(draw_weights)


class SmallTranslator(_Chain):
    """Creates a small translator for the CPU: residual blocks on an image of half the sides.

    Args:
        source_shape: (C, H, W) of an image that is read; both sides are even.
        data_shape: (C, H, W) of an image that is made; height and width are the same.
        width: channels, at least 1.
        blocks: residual blocks, at least 1.
        normalization: called with the number of channels, after every layer but the last two; none
            if it is None. Without one it hardly learns from its first weights.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.

    Attributes:
        stride: images fit whose sides are multiples of it.
        output_range: as in `ResNetTranslator`.

    Raises:
        ValueError: if the sides do not fit, or a size is out of range.
    """

    treats_samples_alone = True
    stride = 2

    def __init__(
        self,
        source_shape: tuple[int, ...],
        data_shape: tuple[int, ...],
        width: int = 16,
        blocks: int = 2,
        normalization: Normalization = nn.BatchNorm2d,
        output: Callable[[], nn.Module] | None = nn.Tanh,
    ) -> None:
        check_sizes(width=width, blocks=blocks)
        read, made = _channels(source_shape, data_shape, self.stride)
        bias = needs_bias(normalization)

        def normalized() -> list[nn.Module]:
            return [] if normalization is None else [normalization(width)]

        layers: list[nn.Module] = [nn.Conv2d(read, width, 4, 2, 1, bias=bias)]
        layers += [*normalized(), nn.ReLU()]
        for _ in range(blocks):
            first, second = (nn.Conv2d(width, width, 3, 1, 1, bias=bias) for _ in range(2))
            layers.append(_Residual(first, *normalized(), nn.ReLU(), second, *normalized()))
        layers += [nn.ConvTranspose2d(width, width, 4, 2, 1, bias=bias), *normalized(), nn.ReLU()]
        layers += [nn.Conv2d(width, made, 3, 1, 1), *ending(output)]
        super().__init__(*layers)
        self.apply(draw_weights)


class LocalTranslator(_Chain):
    """Creates a translator whose every pixel depends on the 5 x 5 pixels around its place.

    It can change values and outlines, but moves nothing. Its first weights are PyTorch's.

    Args:
        source_shape: (C, H, W) of an image that is read.
        data_shape: (C, H, W) of an image that is made; height and width are the same.
        width: channels, at least 1.
        normalization: called with the number of channels, after every layer but the last; none if
            it is not given.
        output: after the last layer; for data in [0, 1] ``torch.nn.Sigmoid``.

    Attributes:
        stride: images of all sizes fit.
        output_range: as in `ResNetTranslator`.

    Raises:
        ValueError: if the two shapes have different sides, or a size is out of range.
    """

    treats_samples_alone = True
    stride = 1

    def __init__(
        self,
        source_shape: tuple[int, ...],
        data_shape: tuple[int, ...],
        width: int = 32,
        normalization: Normalization = None,
        output: Callable[[], nn.Module] | None = nn.Tanh,
    ) -> None:
        check_sizes(width=width)
        read, made = _channels(source_shape, data_shape, self.stride)
        layers: list[nn.Module] = []
        for channels in (read, width):
            layers.append(nn.Conv2d(channels, width, 3, 1, 1))
            layers += [] if normalization is None else [normalization(width)]
            layers.append(nn.ReLU())
        super().__init__(*layers, nn.Conv2d(width, made, 1), *ending(output))


class MLPTranslator(_Chain):
    """Creates a perceptron from samples of one shape to samples of another.

    Args:
        source_shape: of a sample that is read.
        data_shape: of a sample that is made.
        hidden: units of each hidden layer; none makes it linear.
        activation: after every hidden layer.
        output: after the last layer; unbounded if it is not given.

    Attributes:
        output_range: as in `ResNetTranslator`.

    Raises:
        ValueError: if a layer has no units.

    Example:
        >>> import torch
        >>> MLPTranslator((2,), (3, 4))(torch.zeros(5, 2)).shape
        torch.Size([5, 3, 4])
    """

    treats_samples_alone = True

    def __init__(
        self,
        source_shape: tuple[int, ...],
        data_shape: tuple[int, ...],
        hidden: Sequence[int] = (128, 128),
        activation: Callable[[], nn.Module] = nn.ReLU,
        output: Callable[[], nn.Module] | None = None,
    ) -> None:
        sizes = [prod(source_shape), *hidden]
        last = nn.Linear(sizes[-1], prod(data_shape))
        layers = [*hidden_layers(sizes, activation, None), last, *ending(output)]
        super().__init__(nn.Flatten(), *layers, nn.Unflatten(1, data_shape))
        self.output_range = range_of(layers[-1])
