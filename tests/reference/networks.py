"""Small networks of points for the games, by their roles."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_gans.networks import (
    MinibatchDiscrimination,
    MinibatchStdDev,
    R3GANDiscriminator,
    R3GANGenerator,
    SelfAttention,
    SeparatePosterior,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from lightning_gans.networks.styles import StyledGenerator


class Asked(nn.Module):
    """A network that reads the class of each sample as K further entries."""

    treats_samples_alone = True

    def __init__(self, num_classes: int, *layers: nn.Module) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        classes = x.new_zeros(len(x), self.num_classes).scatter(1, labels[:, None], 1.0)
        return self.layers(torch.cat([x, classes], 1))


class Locates(nn.Module):
    """An encoder: the mean and the log of the standard deviation of each latent."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.log_sd = nn.Linear(2, 8), nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(x).tanh()
        return self.mean(hidden), self.log_sd(hidden)


class Pairs(nn.Module):
    """A discriminator of pairs of a point and a latent."""

    treats_samples_alone = True

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers(4, 1))

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        return self.layers(torch.cat([x, latent], 1))

    def with_features(self, x: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        first, activation, *_ = self.layers
        return self(x, latent), activation(first(torch.cat([x, latent], 1)))


class Stylist(StyledGenerator):
    """A generator of points with three styles."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.mapping = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
        self.layers = nn.ModuleList([nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(4, 8)])
        self.last = nn.Linear(8, 2)

    def map(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.mapping(latent)

    def synthesize(self, styles: Tensor) -> Tensor:
        first, second, third = (layer(styles[:, i]) for i, layer in enumerate(self.layers))
        return self.last(first.tanh() + second * third.tanh())


class PooledStylist(StyledGenerator):
    """A generator of images with styles, whose means over pixels are the points."""

    def __init__(self, generator: StyledGenerator) -> None:
        super().__init__(len(generator.average), generator.num_styles)
        self.generator = generator

    def map(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator.map(latent)

    def synthesize(self, styles: Tensor) -> Tensor:
        return self.generator.synthesize(styles).mean((2, 3))


class Pooled(nn.Module):
    """A generator of images whose means over pixels are the points."""

    def __init__(self, latent_dim: int, generator: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.first, self.generator = nn.Linear(2, latent_dim), generator

    def forward(self, latent: Tensor, *labels: Tensor) -> Tensor:
        return self.generator(self.first(latent), *labels).mean((2, 3))


class Painted(nn.Module):
    """A discriminator of images, all of whose pixels are the point."""

    treats_samples_alone = True

    def __init__(self, side: int, discriminator: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.side, self.discriminator = side, discriminator

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        return self.discriminator(
            x[:, :, None, None].expand(-1, -1, self.side, self.side), *labels
        )


def layers(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    last = (nn.Flatten(0),) if outputs == 1 else ()
    return nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs), *last


def two(num_classes: int) -> dict[str, nn.Module]:
    """A generator and a discriminator, which both read the classes if there are any."""
    inputs = 2 + num_classes
    generator, discriminator = layers(inputs, 2), layers(inputs, 1)
    if num_classes:
        return {
            "generator": Asked(num_classes, *generator),
            "discriminator": Asked(num_classes, *discriminator),
        }
    return {
        "generator": nn.Sequential(*generator),
        "discriminator": nn.Sequential(*discriminator),
    }


def grouped(num_classes: int) -> dict[str, nn.Module]:
    """R3GAN's networks on images of 8 pixels, whose means over pixels are the points."""
    sizes = {"data_shape": (2, 8, 8), "widths": [16, 8], "blocks": 1}
    return {
        "generator": nn.Sequential(
            R3GANGenerator(2, **sizes), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "discriminator": nn.Sequential(
            nn.Unflatten(1, (2, 1, 1)), nn.UpsamplingNearest2d(8), R3GANDiscriminator(**sizes)
        ),
    }


def of_images(
    generator: Callable[..., nn.Module], discriminator: Callable[..., nn.Module]
) -> Callable[[int], dict[str, nn.Module]]:
    """Makes networks of images of 28 pixels, between points."""

    def made(num_classes: int) -> dict[str, nn.Module]:
        sizes = {"data_shape": (2, 28, 28), "width": 8, "num_classes": num_classes or None}
        networks = generator(12, **sizes), discriminator(**sizes)
        for network in networks:
            for part in network.modules():
                if isinstance(part, SelfAttention):
                    nn.init.constant_(part.scale, 0.5)  # that it counts from the first update on
        return {
            "generator": Pooled(12, networks[0], num_classes),
            "discriminator": Painted(28, networks[1], num_classes),
        }

    return made


def of_styled_images(num_classes: int) -> dict[str, nn.Module]:
    """StyleGAN2's networks on images of 8 pixels, between points."""
    sizes = {"data_shape": (2, 8, 8), "base_channels": 64, "max_channels": 8}
    generator = StyleGAN2Generator(2, style_dim=4, **sizes)
    networks = {
        "generator": PooledStylist(generator),
        "discriminator": Painted(8, StyleGAN2Discriminator(group_size=3, **sizes), 0),
    }
    with torch.no_grad():
        for network in networks.values():
            for parameter in network.parameters():  # noise counts from the first update on
                parameter.add_(0.1 * torch.randn_like(parameter))
    return networks


def with_a_stylist(num_classes: int) -> dict[str, nn.Module]:
    return {"generator": Stylist(), "discriminator": nn.Sequential(*layers(2, 1))}


def steep(num_classes: int) -> dict[str, nn.Module]:
    """The networks of `two`; the slopes of the discriminator are above 1 in many places."""
    networks = two(num_classes)
    with torch.no_grad():
        networks["discriminator"][2].weight.mul_(5)
    return networks


def wrapped(wrap: Callable[..., nn.Module]) -> Callable[[int], dict[str, nn.Module]]:
    """Makes the networks of `two`, the discriminator in a wrapper."""

    def made(num_classes: int) -> dict[str, nn.Module]:
        networks = two(num_classes)
        return {**networks, "discriminator": wrap(network=networks["discriminator"])}

    return made


def two_with_features(num_classes: int) -> dict[str, nn.Module]:
    """A generator and a discriminator that tells three features."""
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(2, 3)),
    }


class Rebuilds(nn.Module):
    """An autoencoder of points, with its codes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
        self.decoder = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.encoder(x)
        return self.decoder(code), code


def two_with_autoencoder(num_classes: int) -> dict[str, nn.Module]:
    return {"generator": nn.Sequential(*layers(2, 2)), "discriminator": Rebuilds()}


def two_comparing(make: Callable[[], MinibatchStdDev | MinibatchDiscrimination]):
    """Makes the networks of `two`, the discriminator with a layer that compares its features."""

    def made(num_classes: int) -> dict[str, nn.Module]:
        networks = two(num_classes)
        first, activation, *_ = networks["discriminator"]
        layer = make()
        last = nn.Linear(layer.out_features, 1), nn.Flatten(0)
        judge = nn.Sequential(first, activation, layer, *last)
        return {**networks, "discriminator": judge}

    return made


def two_with_packs(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(6, 1)),
    }


def two_with_class_head(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": Asked(num_classes, *layers(2 + num_classes, 2)),
        "discriminator": nn.Sequential(*layers(2, 1 + num_classes)),
    }


def two_with_codes(num_classes: int) -> dict[str, nn.Module]:
    """Latents have one entry of noise, codes of three and two values, and two numbers."""
    return {
        "generator": nn.Sequential(*layers(1 + 3 + 2 + 2, 2)),
        "discriminator": nn.Sequential(*layers(2, 1 + 3 + 2 + 2)),
    }


def three(num_classes: int) -> dict[str, nn.Module]:
    """The same with a posterior of its own, which tells deviations of the two numbers, too."""
    networks = two_with_codes(num_classes)
    judge, reader = (nn.Sequential(*layers(2, outputs)) for outputs in (1, 3 + 2 + 2 + 2))
    joined = SeparatePosterior(network=judge, posterior=reader, num_outputs=1 + 9)
    return {**networks, "discriminator": joined}


def four(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": Asked(num_classes, *layers(2 + num_classes, 2)),
        "discriminator": nn.Sequential(*layers(2, 1)),
        "encoder": Locates(),
        "classifier": nn.Sequential(*layers(2, num_classes)),
    }


def autoencoding(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(2, 1)),
        "encoder": nn.Sequential(*layers(2, 2)),
    }


def autoencoding_pairs(num_classes: int) -> dict[str, nn.Module]:
    return {**autoencoding(num_classes), "discriminator": Pairs()}


def autoencoding_with_spread(num_classes: int) -> dict[str, nn.Module]:
    return {**autoencoding(num_classes), "encoder": Locates()}


def two_for_pairs(num_classes: int) -> dict[str, nn.Module]:
    return {
        "generator": nn.Sequential(*layers(2, 2)),
        "discriminator": nn.Sequential(*layers(4, 1)),
    }


def coupled(num_classes: int) -> dict[str, nn.Module]:
    """A generator of pairs, and discriminators with their last layer in common."""
    first, second, activation, *last = nn.Linear(2, 8), *layers(2, 1)
    judges = {"a": nn.Sequential(first, activation, *last)}
    judges["b"] = nn.Sequential(second, activation, *last)
    return {
        "generator": nn.Sequential(*layers(2, 4)),
        "discriminator": nn.ModuleDict(judges),
    }
