"""The plain loop.

It plays the processes of a run one after the other: each draws from its own random stream and
computes the gradient of its own share, and the mean of these gradients makes the step.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from reference import BATCH, SEED
from reference.games import Game
from reference.losses import ADAPTIVE
from reference.players import with_styles


def step(optimizer, parameters, gradients) -> None:
    for parameter, shares in zip(parameters, zip(*gradients, strict=True), strict=True):
        parameter.grad = torch.stack(shares).mean(0)
    optimizer.step()


class Streams:
    """The random streams of the processes, which are played one after the other."""

    def __init__(self, update: int, ranks: int) -> None:
        self.states = {}
        for rank in range(ranks):
            key = np.random.SeedSequence((SEED, 0, update, rank))
            torch.manual_seed(int(key.generate_state(1)[0]))
            self.pause(rank)

    def resume(self, rank: int) -> None:
        torch.set_rng_state(self.states[rank])

    def pause(self, rank: int) -> None:
        self.states[rank] = torch.get_rng_state()


def weights(networks: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.detach()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


def buffers(networks: dict[str, nn.Module]) -> list[Tensor]:
    return [buffer.clone() for network in networks.values() for buffer in network.buffers()]


def put(networks: dict[str, nn.Module], values: list[Tensor]) -> None:
    found = [buffer for network in networks.values() for buffer in network.buffers()]
    for buffer, value in zip(found, values, strict=True):
        buffer.copy_(value)


def play(game: Game, *, rounds: int, n_critic: int, ranks: int) -> dict[str, Tensor]:
    """Returns all weights, and what regularizers remember, after some rounds, as doubles."""
    networks = {name: network.double() for name, network in game.networks().items()}
    game.forget()
    sides = game.structure.sides(networks, game, n_critic)
    owned = [[p for name in side.networks for p in networks[name].parameters()] for side in sides]
    optimizers = [game.structure.optimizer(parameters) for parameters in owned]
    if game.loss in ADAPTIVE:
        ADAPTIVE[game.loss].reset()
    source = game.data()
    size = BATCH * n_critic
    trained = [parameter for parameters in owned for parameter in parameters]
    behind = [parameter.detach().clone() for parameter in trained]
    own = [buffers(networks) for _ in range(ranks)]  # each process has its own
    for update in range(1, rounds + 1):
        for optimizer in optimizers if game.falling else ():
            optimizer.param_groups[0]["lr"] = 1e-2 * (1 - (update - 1) / game.falling)
        for optimizer in optimizers if game.fading else ():
            shown = (update - 1) * n_critic * BATCH * ranks
            optimizer.param_groups[0]["lr"] = 1e-2 * (1 - shown / game.fading)
        streams = Streams(update, ranks)
        batches = [
            source.training_batches(SEED, size, rank, ranks)(update - 1) for rank in range(ranks)
        ]
        for side, parameters, optimizer in zip(sides, owned, optimizers, strict=True):
            seen = [iter(()) for _ in range(ranks)]
            for turn in range(side.updates):
                game.clock[0] = (update - 1) * n_critic + turn
                game.rounds[0] = update - 1
                gradients = []
                for rank in range(ranks):
                    put(networks, own[rank])
                    streams.resume(rank)
                    with parametrize.cached():  # an update makes one power iteration
                        if turn == 0:
                            seen[rank] = drawn(side, batches[rank], n_critic)
                        loss = side.loss(*next(seen[rank]))
                    gradients.append(torch.autograd.grad(loss, parameters))
                    own[rank] = buffers(networks)
                    streams.pause(rank)
                step(optimizer, parameters, gradients)
                if game.structure.sides is with_styles:  # whose processes take the mean of them
                    own = [[torch.stack(same).mean(0) for same in zip(*own, strict=True)]] * ranks
                if side.networks == ("generator",):
                    game.paths.move()
                if game.remembers and side.networks == ("discriminator",):
                    game.memory.move()
                if game.clip is not None and side.networks == ("discriminator",):
                    with torch.no_grad():
                        for parameter in parameters:
                            parameter.copy_(parameter.clamp(-game.clip, game.clip))
                if game.loss in ADAPTIVE:
                    ADAPTIVE[game.loss].after()
        if game.corrected and update % game.corrected == 0:
            behind = [(old + new.detach()) / 2 for old, new in zip(behind, trained, strict=True)]
            for parameter, value in zip(trained, behind, strict=True):
                parameter.data.copy_(value)
    put(networks, own[0])  # those that checkpoints hold
    return weights(networks) | game.state() | game.numbers


def drawn(side, batch, n_critic):
    """Yields what a player sees in each of its updates, of the last slices of the batch."""
    fields = tuple(batch.values()) if isinstance(batch, dict) else batch
    fields = fields if isinstance(fields, tuple) else (fields, None)
    first = (n_critic - side.updates) * BATCH
    fields = [
        field if field is None or field.dtype == torch.int64 else field.double()
        for field in rows(fields, slice(first, None))
    ]
    parts = [slice(start, start + BATCH) for start in range(0, len(fields[0]), BATCH)]
    if side.at_once:
        at_once = side.draw(*fields)
        yield from (rows(at_once, part) for part in parts)
    else:
        yield from (side.draw(*rows(fields, part)) for part in parts)


def rows(tensors, part):
    return tuple(None if tensor is None else tensor[part] for tensor in tensors)


RELATIVE = {
    *("RelativisticPaired", "RelativisticAverage", "average squares", "MMD", "Cramer", "Fisher"),
}
"""Losses of differences, at least where the outputs are far apart or the multiplier is small."""


def tolerance(game: Game, name: str, usual: float) -> float:
    """How far a weight may be off.

    The relativistic losses do not change if all outputs do: the gradient of the last bias is a
    rounding error, which Adam scales up.
    """
    relative = game.loss in RELATIVE
    last = name.startswith("discriminator") and name.endswith(("2.bias", "3.bias"))
    return 1e-8 if relative and last else usual
