"""Augmentations."""

import pytest
import torch

from lightning_gans.augment import FlipAndShift


def test_every_image_is_mirrored_and_moved_with_a_mirrored_border():
    """Against padding and cutting, image by image."""
    images = torch.randn(200, 3, 8, 16)
    padded = torch.nn.functional.pad(images, (2, 2, 1, 1), mode="reflect")
    found = FlipAndShift()(images)
    made = set()
    for index, image in enumerate(found):
        for row in range(3):
            for column in range(5):
                cut = padded[index, :, row : row + 8, column : column + 16]
                for mirrored in (False, True):
                    if torch.equal(image, cut.flip(2) if mirrored else cut):
                        made.add((index, row, column, mirrored))
    assert len(made) == len({index for index, *_ in made}) == 200  # one way each
    assert len({way[1:] for way in made}) == 3 * 5 * 2  # and all ways are taken
    assert 70 < sum(way[3] for way in made) < 130


def test_the_gradient_of_each_pixel_is_how_often_it_is_read():
    images = torch.randn(4, 1, 8, 8, requires_grad=True)
    FlipAndShift()(images).sum().backward()
    assert images.grad.sum() == images.numel()
    assert images.grad[:, :, 2:-2, 2:-2].eq(1).all()


def test_no_shift_only_mirrors():
    images = torch.arange(2 * 4.0).reshape(1, 1, 2, 4).expand(50, 1, 2, 4)
    ways = {tuple(image.flatten().tolist()) for image in FlipAndShift(shift=0)(images)}
    assert ways == {(0, 1, 2, 3, 4, 5, 6, 7), (3, 2, 1, 0, 7, 6, 5, 4)}


@pytest.mark.parametrize("shift", [-0.1, 1.0, float("nan")])
def test_a_shift_out_of_range_is_refused(shift):
    with pytest.raises(ValueError, match=f"shift must be at least 0 and below 1, got {shift}"):
        FlipAndShift(shift)
