"""``lightning-gans export``: the generator as a file that other programs open."""

import gc
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

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
from lightning_gans.core.latent import LatentModule
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.translating import TranslationModule
from lightning_gans.errors import InputError, RunError
from lightning_gans.files import replacing
from lightning_gans.loading import load
from lightning_gans.variants.encoding import EncodingGAN
from lightning_gans.variants.sgan import SGAN

__all__ = ["export"]

TOLERANCE = 1e-5
"""Largest difference of an entry between the samples of the model and of its export."""
MADE = {"encoder": "codes", "classifier": "probabilities"}
"""Names of the networks that read samples, and what they make of them."""


class _Exported(nn.Module):
    """One way through a model, as a network."""

    model: Any

    def __init__(self, model: AdversarialModule) -> None:
        super().__init__()
        self.model = model


class _Translator(_Exported):
    """The way from samples of one kind to those of the other."""

    model: TranslationModule

    def __init__(self, model: TranslationModule, direction: str) -> None:
        super().__init__(model)
        self.direction = direction

    @override
    def forward(self, source: Tensor) -> Tensor:
        made: Tensor = self.model(source, self.direction)
        return made


class _Sampler(_Exported):
    """The way from latents, and perhaps classes, to samples."""

    model: LatentModule

    @override
    def forward(self, latent: Tensor, label: Tensor | None = None) -> Tensor:
        return self.model.generate(latent, label)


class _Finder(_Exported):
    """The way from samples to their codes."""

    model: EncodingGAN

    @override
    def forward(self, sample: Tensor) -> Tensor:
        outputs = self.model.encoder(sample)  # the checks of locate() would fix the number
        return self.model.coded(outputs if isinstance(outputs, Tensor) else outputs[0])


class _Classifier(_Exported):
    """The way from samples to the probabilities of their classes."""

    model: SGAN

    @override
    def forward(self, sample: Tensor) -> Tensor:
        outputs: Tensor = self.model.discriminator(sample)  # those of outputs() would, too
        return outputs.softmax(1)


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

    The check compares the entries of 16 samples, codes or probabilities. For a model that does not
    generate from latents, safetensors are checked by comparing the weights.

    Args:
        ckpt_path: file or run folder.
        out: the file; ``<network>.<format>`` if it is not given.
        format: ``safetensors``, which `lightning_gans.load` opens, or ``onnx`` with the input
            ``latent``, for a model with classes also ``label`` (int64), and the output
            ``sample``, of any number of samples, and with what latents are drawn from, ``prior``,
            and the ``value_range`` of the data, if it is known, in its metadata; if it is not
            given, by the ending of ``out``, or else ``onnx`` for a ``network`` that is named, and
            ``safetensors``, which hold all networks, for none.
        network: to write alone, as ONNX. The ``encoder``, whose input is ``sample`` and whose
            output is ``latent``, the code or its mean; the ``classifier`` of `SGAN`, whose input
            is ``sample`` and whose output is ``probability``, shape (N, K); or of a model that
            translates ``to_b`` or ``to_a``, whose input is ``source``, as many images of the size
            that it was made for as there are, and whose output is ``sample``. If it is not given,
            ONNX has the generator, or the translator from a to b.
        weights: see `opened`.
        allow: see `opened`.

    Raises:
        InputError: if an argument cannot be used, or a package for the format is not there.
        RunError: if the export does not make the samples of the original. Nothing is written.
    """
    if format is None:
        ending = out.suffix[1:] if out else ""
        format = ending if ending in FORMATS else FORMATS[network is not None]
    out = out or Path(f"{network or 'generator'}.{format}")
    check_out(out, f".{format}")
    model = opened(ckpt_path, weights, allow)
    alone = _alone(model, network, format)
    if format == "onnx" and not alone:
        check_generates(model)
    with writing(out), replacing(out) as file:
        if alone in MADE:
            difference = _write_reader(model, file)
        elif alone:
            difference = _write_translator(model, alone, file)
        elif isinstance(model, LatentModule):
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
        made = MADE.get(alone, "samples")
        say(f"its {made} differ from the checkpoint's by {difference:.1e} at most")


def _alone(model: AdversarialModule, network: str | None, format: str) -> str:
    """Returns the name of the network that is written alone, "" if it is the generator, or all.

    Raises:
        InputError: if the model has no such network, or the format holds all of them.
    """
    translators = [*model.translators.values()] if isinstance(model, TranslationModule) else []
    readers = {"encoder": EncodingGAN, "classifier": SGAN}
    names = [name for name, kind in readers.items() if isinstance(model, kind)]
    names = names or [name for name in translators if name != "generator"]
    if network is None:
        return translators[0] if translators and format == "onnx" else ""
    if network not in names:
        remedy = f"Use {' or '.join(names)}, or leave" if names else "Leave"
        raise InputError(
            f"network: {type(model).__name__} has no {network}. {remedy} --network out."
        )
    if format != "onnx":
        raise InputError(
            f"format: {format} hold all networks of a model. Leave --network out, or use --format "
            f"onnx for {network} alone."
        )
    return network


def _write_translator(model: AdversarialModule, name: str, file: IO[bytes]) -> float:
    """Writes a translator and returns the largest difference of an entry of 16 translations."""
    assert isinstance(model, TranslationModule)
    direction = next(key for key, value in model.translators.items() if value == name)
    shape = model.shapes[direction == "b_to_a"]
    source = torch.rand(16, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    content = _onnx(_Translator(model, direction), {"source": source}, "sample", {})
    file.write(content)
    made = _run_onnx(content, {"source": source}, "sample")
    return (made - model.translate(source, direction)).abs().max().item()


def _write_generator(
    model: LatentModule, path: Path, file: IO[bytes], format: str, allow: Sequence[str]
) -> float:
    """Writes a generator and returns the largest difference of an entry of 16 samples."""
    latent = latents(model, 16, seed=0)
    labels = None if model.num_classes is None else torch.arange(16) % model.num_classes
    if format == "onnx":
        inputs = {"latent": latent} if labels is None else {"latent": latent, "label": labels}
        content = _onnx(_Sampler(model), inputs, "sample", {"prior": str(model.prior)})
        file.write(content)
        made = _run_onnx(content, inputs, "sample")
    else:
        file.write(model.export(*model.averaged))
        file.flush()
        made = generated(load(path, allow=allow), latent, labels)
    return (made - generated(model, latent, labels)).abs().max().item()


def _write_reader(model: AdversarialModule, file: IO[bytes]) -> float:
    """Writes what reads samples and returns the largest difference of an entry of 16 of them."""
    assert isinstance(model, EncodingGAN | SGAN)
    labels = None if model.num_classes is None else torch.arange(16) % model.num_classes
    samples = generated(model, latents(model, 16, seed=0), labels)
    network: _Exported
    if isinstance(model, EncodingGAN):
        network, output, read = _Finder(model), "latent", model.encode(samples)
    else:
        network, output, read = _Classifier(model), "probability", model.probabilities(samples)
    content = _onnx(network, {"sample": samples}, output, {})
    file.write(content)
    return (_run_onnx(content, {"sample": samples}, output) - read).abs().max().item()


def _largest_difference(model: AdversarialModule, again: AdversarialModule) -> float:
    """Returns the largest difference of a weight of the networks that are exported."""
    found = [0.0]
    for name in model.averaged:
        ours, theirs = (getattr(m, name).state_dict() for m in (model, again))
        found += [(value - theirs[key]).abs().max().item() for key, value in ours.items()]
    return max(found)


def _onnx(
    network: _Exported,
    inputs: dict[str, Tensor],
    output: str,
    told: dict[str, str],
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
            output_names=[output],
            dynamic_shapes={name: {0: number} for name in inputs},
        )
    assert program is not None
    proto = program.model_proto
    if network.model.value_range is not None:
        told["value_range"] = json.dumps(network.model.value_range)
    for key, value in told.items():
        proto.metadata_props.add(key=key, value=value)
    content: bytes = proto.SerializeToString()
    # PyTorch makes subclasses of the model's class with its name, which would be ambiguous then.
    del program, proto
    gc.collect()
    return content


def _run_onnx(content: bytes, inputs: dict[str, Tensor], output: str) -> Tensor:
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(error) from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run([output], {k: v.numpy() for k, v in inputs.items()})[0])


def _missing(error: ImportError) -> InputError:
    return InputError(
        f"format: onnx needs the package {error.name}. Use pip install onnx onnxruntime "
        "onnxscript."
    )
