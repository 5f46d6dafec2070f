"""Past samples of a generator, which its discriminator is shown again."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from typing_extensions import override

__all__ = ["History"]


class History(nn.Module):
    """Keeps some of the samples that a generator has made, to show them again later.

    Until it is full it keeps each new sample and returns it. Then it tosses a coin for each: it
    either returns the new sample, or one of its own, drawn at random, whose place the new one
    takes.

    Several processes have one history of the samples of all of them, in the order of their ranks,
    which each of them keeps: it is the same after a resume, in any number of processes.

    References:
        Learning from Simulated and Unsupervised Images through Adversarial Training (Shrivastava
        et al., 2017), section 2.3, https://arxiv.org/abs/1612.07828, in the form of CycleGAN's
        authors' code (Zhu et al., 2017, section 4, https://arxiv.org/abs/1703.10593)

    Args:
        size: samples that it keeps, at least 1.
        shape: of one sample.

    Attributes:
        samples: those that it keeps, shape (size, ...); zeros where there are none yet.
        number: how many there are, int64, shape ().
    """

    samples: Tensor
    number: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("samples", torch.zeros(size, *shape))
        self.register_buffer("number", torch.tensor(0))

    @override
    @torch.no_grad()
    def forward(self, new: Tensor, gather: Callable[[Tensor], Tensor], rank: int = 0) -> Tensor:
        """Returns as many samples as are new, some of which are old.

        No number leaves the device, which would be to wait for it.

        Args:
            new: samples of this process, shape (N, ...), as many as in all others.
            gather: stacks a tensor of all processes.
            rank: of this process.
        """
        size, count = len(self.samples), len(new)
        drawn = torch.randint(size, (count,), device=new.device)
        exchanged = torch.rand(count, dtype=self.samples.dtype, device=new.device) < 0.5
        samples, drawn, exchanged = (
            gather(part).reshape(-1, *part.shape[1:])
            for part in (new.to(self.samples.dtype), drawn, exchanged)
        )
        order = self.number + torch.arange(len(samples), device=new.device)
        fresh = order < size
        places = torch.where(fresh, order, drawn)
        returned = []
        for row in range(len(samples)):
            one = slice(row, row + 1)
            sample, place = samples[one], places[one]
            kept = self.samples.index_select(0, place)
            returned.append(torch.where(exchanged[row] & ~fresh[row], kept, sample))
            stored = torch.where(exchanged[row] | fresh[row], sample, kept)
            self.samples.index_copy_(0, place, stored)
        self.number.copy_((self.number + len(samples)).clamp(max=size))
        mine = returned[rank * count : (rank + 1) * count]
        return torch.cat(mine).to(new.dtype)
