"""``lightning-gans export``: the generator as a file that other programs open."""

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import torch
from torch import Tensor, nn
from typing_extensions import override

from lightning_gans.cli.catalogue import FORMATS
from lightning_gans.cli.commands.opening import (
    check_generates,
    generated,
    latents,
    opened,
    writing,
)
from lightning_gans.cli.places import check_out
from lightning_gans.cli.screen import say
from lightning_gans.core.gan import GAN
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.translating import TranslationModule
from lightning_gans.errors import InputError, RunError
from lightning_gans.files import replacing
from lightning_gans.loading import load

__all__ = ["export"]

TOLERANCE = 1e-5
"""Largest difference of an entry between the samples of the model and of its export."""


class _Translator(nn.Module):
    """The way from samples of one kind to those of the other, as a network."""

    def __init__(self, model: TranslationModule, direction: str) -> None:
        super().__init__()
        self.model = model
        self.direction = direction

    @override
    def forward(self, source: Tensor) -> Tensor:
        made: Tensor = self.model(source, self.direction)
        return made


class _Sampler(nn.Module):
    """The way from latents, and perhaps classes, to samples, as a network."""

    def __init__(self, model: GAN) -> None:
        super().__init__()
        self.model = model

    @override
    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        return self.model.generate(latent, label)


def export(
    ckpt_path: Path,
    out: Path | None = None,
    *,
    format: str | None = None,
    network: str | None = None,
    weights: str | None = None,
    allow: Sequence[str] = (),
) -> None:
    """Writes the generator of a checkpoint, and says how what is written compares with it.

    Compared are the entries of 16 samples, or the weights in safetensors of a model that does not
    generate samples from latents.

    Args:
        ckpt_path: file or run folder.
        out: the file; ``generator.<format>`` if it is not given.
        format: ``safetensors``, which `lightning_gans.load` opens, or ``onnx`` with the input
            ``latent``, for a model with classes also ``label`` (int64), and the output
            ``sample``, of any number of samples, and with what latents are drawn from, ``prior``,
            and the ``value_range`` of the data, if it is known, in its metadata; if it is not
            given, by the ending of ``out``, or else ``safetensors``.
        network: of a model that translates both ways, the one to write as ONNX: its input is
            ``source``, as many images of the size that it was made for as there are, and its
            output ``sample``. The one from a to b if it is not given.
        weights: see `opened`.
        allow: see `opened`.

    Raises:
        InputError: if an argument cannot be used, or a package for the format is not there.
        RunError: if the export does not make the samples of the original. Nothing is written.
    """
    if format is None:
        ending = out.suffix[1:] if out else ""
        format = ending if ending in FORMATS else FORMATS[0]
    out = out or Path(f"generator.{format}")
    check_out(out, f".{format}")
    model = opened(ckpt_path, weights, allow)
    translates = isinstance(model, TranslationModule)
    direction = _direction(model, network, format) if translates or network else ""
    if format == "onnx" and not translates:
        check_generates(model)
    with writing(out), replacing(out) as file:
        if direction:
            difference = _write_translator(model, direction, file)
        elif isinstance(model, GAN):
            difference = _write_generator(model, Path(file.name), file, format, allow)
        else:
            file.write(model.export(*model.averaged))
            file.flush()
            difference = _largest_difference(model, load(Path(file.name), allow=allow))
        if not difference <= TOLERANCE:
            raise RunError(
                f"The export was not kept: it differs by {difference:.1e} from the checkpoint, "
                f"more than {TOLERANCE:.0e}."
            )
        say(f"its samples differ from the checkpoint's by {difference:.1e} at most")


def _direction(model: AdversarialModule, network: str | None, format: str) -> str:
    """Returns the direction in which a network translates that is to be written alone.

    That is none in safetensors, which hold all of them.

    Raises:
        InputError: if the model has no such network.
    """
    found = model.translators if isinstance(model, TranslationModule) else {}
    names = {name: direction for direction, name in found.items()}
    if network is not None and (format != "onnx" or network not in names):
        where = f"a {type(model).__name__} as {format}"
        there = f" has {' and '.join(names)}" if names and format == "onnx" else " has no parts"
        raise InputError(f"network: {where}{there}, got {network}. Leave --network out.")
    if format != "onnx":
        return ""
    return next(iter(found)) if network is None else names[network]


def _write_translator(model: AdversarialModule, direction: str, file: IO[bytes]) -> float:
    """Writes a translator and returns the largest difference of an entry of 16 translations."""
    assert isinstance(model, TranslationModule)
    shape = model.shapes[direction == "b_to_a"]
    source = torch.rand(16, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    content = _onnx(_Translator(model, direction), {"source": source}, {})
    file.write(content)
    made = _run_onnx(content, {"source": source})
    return (made - model.translate(source, direction)).abs().max().item()


def _write_generator(
    model: GAN, path: Path, file: IO[bytes], format: str, allow: Sequence[str]
) -> float:
    """Writes a generator and returns the largest difference of an entry of 16 samples."""
    latent = latents(model, 16, seed=0)
    labels = None if model.num_classes is None else torch.arange(16) % model.num_classes
    if format == "onnx":
        inputs = {"latent": latent} if labels is None else {"latent": latent, "label": labels}
        content = _onnx(_Sampler(model), inputs, {"prior": str(model.prior)})
        file.write(content)
        made = _run_onnx(content, inputs)
    else:
        file.write(model.export(*model.averaged))
        file.flush()
        made = generated(load(path, allow=allow), latent, labels)
    return (made - generated(model, latent, labels)).abs().max().item()


def _largest_difference(model: AdversarialModule, again: AdversarialModule) -> float:
    """Returns the largest difference of a weight of the networks that are exported."""
    found = [0.0]
    for name in model.averaged:
        ours, theirs = (getattr(m, name).state_dict() for m in (model, again))
        found += [(value - theirs[key]).abs().max().item() for key, value in ours.items()]
    return max(found)


def _onnx(
    network: _Sampler | _Translator, inputs: dict[str, Tensor], told: dict[str, str]
) -> bytes:
    """Returns a network as ONNX, with what is told of it and the range of its data."""
    try:
        import onnxscript  # noqa: F401  which torch.onnx needs
    except ImportError as error:
        raise _missing(error) from error
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    number = torch.export.Dim("n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about packages that nothing here uses
        program = torch.onnx.export(
            network.eval(),
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=["sample"],
            dynamic_shapes={name: {0: number} for name in inputs},
        )
    assert program is not None
    proto = program.model_proto
    if network.model.value_range is not None:
        told["value_range"] = json.dumps(network.model.value_range)
    for key, value in told.items():
        proto.metadata_props.add(key=key, value=value)
    content: bytes = proto.SerializeToString()
    return content


def _run_onnx(content: bytes, inputs: dict[str, Tensor]) -> Tensor:
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(error) from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["sample"], {k: v.numpy() for k, v in inputs.items()})[0])


def _missing(error: ImportError) -> InputError:
    return InputError(
        f"format: onnx needs the package {error.name}: pip install 'lightning-gans[onnx]'."
    )
