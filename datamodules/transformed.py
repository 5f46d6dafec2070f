"""Images beside what a known function makes of them: translations whose truth is known."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.downloaded import CIFAR10, MNIST, DownloadedImages, FashionMNIST
from datamodules.images import ImagePart, ImageSource
from datamodules.stream import generator_for, warn_of_seed
from datamodules.transforms import TRANSFORMS, undoing
from datamodules.translation import Direction, TranslationData
from lightning_gans.randomness import EVALUATION_DATA

__all__ = ["TransformedCIFAR10", "TransformedFashionMNIST", "TransformedMNIST"]

HALVES = 4
"""Key of the random numbers that part the images into two halves."""

Transform = Literal[
    "invert", "edges", "rotate", "mirror", "colour", "right_half", "thumbnail", "blur"
]


class TransformedImages(TranslationData):
    """Base of the data of a downloaded dataset, a, and of what a function makes of it, b.

    Pairs are all training images, each with what becomes of it. Unpaired, a is one half of them
    and b is made of the other half, so that no image occurs on both sides. Evaluation has the test
    images in pairs and with labels either way; as further real samples it has training images.

    Args:
        transform: what is made of an image: its negative (``invert``), its outlines (``edges``),
            a quarter turn (``rotate``), its mirror image (``mirror``), a colour that tells how
            bright a grey image is (``colour``), the left half with the right half black
            (``right_half``), squares of 4 x 4 pixels (``thumbnail``), a blurred one (``blur``).
        paired: serve pairs, or else samples of two kinds that do not belong together.
        direction: of pairs: ``a_to_b`` gives images and wants what becomes of them, ``b_to_a``
            gives what became of images and wants the images.
        split_seed: chooses the halves of unpaired images, not negative; no part of the run's seed.
        data_dir: see `DownloadedImages`.
        value_range: what the bytes 0 and 255 become, in this order.
        batch_size: images of each kind in one discriminator update and process, at least 1.
        num_eval_samples: largest number of images in each evaluation set, at least 2.

    Raises:
        ValueError: if an argument is out of range, or the dataset cannot be read.
    """

    dataset: type[DownloadedImages]

    def __init__(
        self,
        transform: Transform = "invert",
        paired: bool = False,
        direction: Direction = "a_to_b",
        split_seed: int = 0,
        data_dir: str | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        batch_size: int = 64,
        num_eval_samples: int = 10_000,
    ) -> None:
        super().__init__(paired, direction, value_range, batch_size, num_eval_samples)
        if transform not in TRANSFORMS:
            raise ValueError(f"transform must be one of {', '.join(TRANSFORMS)}, got {transform}.")
        shape = self.dataset.shape
        if transform == "colour" and shape[0] != 1:
            raise ValueError(
                f"transform: colour is for grey images, but those of {self.dataset.__name__} have "
                f"{shape[0]} channels. Use another transform, or TransformedMNIST."
            )
        if split_seed < 0:
            raise ValueError(f"split_seed must be at least 0, got {split_seed}.")
        self.split_seed = split_seed
        self.images = self.dataset(data_dir, num_eval_samples=num_eval_samples)
        self._transform = TRANSFORMS[transform]
        made = self._transform(torch.zeros(1, *shape, dtype=torch.uint8))
        content = getattr(self.dataset, "content", None)
        undo = undoing(transform, self.value_range)
        self.describe(shape, tuple(made.shape[1:]), content, undo=undo)

    @override
    def prepare_data(self) -> None:
        """Downloads what is missing; one process a machine does."""
        self.images.prepare_data()

    @override
    def setup(self, stage: str | None = None) -> None:
        """Reads the dataset, once."""
        if self.training:
            return
        self.images.setup(stage)
        images = self.images.training
        halves = images, images
        if not self.paired:
            draw = generator_for(self.split_seed, EVALUATION_DATA, HALVES)
            rows = torch.randperm(len(images), generator=draw).chunk(2)
            halves = ImagePart(images, rows[0]), ImagePart(images, rows[1])
        held_out = [ImagePart(*part) for part in self.images.held_out]
        self.serve(self._both(*halves), *(self._both(part, part) for part in held_out))

    @override
    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the chains of batches, and the seed of unpaired images."""
        halves = {} if self.paired else {"split_seed": self.split_seed}
        return {**super().state_dict(), **halves}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position of a state, and tells if that is one in other halves."""
        if not self.paired:
            warn_of_seed("split_seed", state_dict.get("split_seed"), self.split_seed)
        super().load_state_dict(state_dict)

    def _both(self, a: ImageSource, b: ImageSource) -> tuple[ImageSource, ImageSource]:
        return a, _Made(b, self._transform)


class _Made:
    """What a function makes of images."""

    def __init__(self, source: ImageSource, transform: Callable[[Tensor], Tensor]) -> None:
        self.source = source
        self.transform = transform
        self.labels = source.labels

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows: Tensor) -> Tensor:
        """Returns what becomes of the images of some rows, uint8, shape (N, C, H, W)."""
        return self.transform(self.source.read(rows))


class TransformedMNIST(TransformedImages):
    """Handwritten digits and what a function makes of them.

    See `TransformedImages` for the arguments.

    Example:
        >>> TransformedMNIST("colour").data_shapes
        ((1, 28, 28), (3, 28, 28))
    """

    dataset = MNIST


class TransformedFashionMNIST(TransformedImages):
    """Photos of clothes and what a function makes of them.

    See `TransformedImages` for the arguments.
    """

    dataset = FashionMNIST


class TransformedCIFAR10(TransformedImages):
    """Small photos and what a function makes of them.

    See `TransformedImages` for the arguments.
    """

    dataset = CIFAR10
