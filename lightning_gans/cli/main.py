"""The command line: what it offers, and which part of the package does it.

PyTorch and Lightning take seconds to import. Nothing here needs them, so that help, lists and
errors in the short commands are there at once.
"""

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from typing_extensions import override

from lightning_gans import __version__
from lightning_gans.cli import catalogue
from lightning_gans.cli.modules import check_data_package
from lightning_gans.cli.places import with_homes
from lightning_gans.cli.processes import tell
from lightning_gans.cli.screen import adapt, beside, wrapped
from lightning_gans.errors import InputError, RunError, one_line
from lightning_gans.spelling import likely
from lightning_gans.terminal import drop

__all__ = ["main"]

TRAINING = {
    "fit": "train a GAN, or resume a run; without any setting, train the demo",
    "fork": "start a new run from another run's checkpoint, with some settings changed",
    "validate": "score a checkpoint on the validation data",
    "test": "score a checkpoint on the test data",
    "predict": "generate as many samples as there are to validate on, and save them as .npy",
    "prepare": "download and check a dataset",
}
"""Commands that know their own arguments; to ask them takes seconds."""
SHORT = (
    *("compare", "diff", "sample", "interpolate", "translate", "encode", "reconstruct"),
    *("evaluate", "export", "list", "completion"),
)
"""Commands whose arguments are known here."""
WITHOUT_DATA = ("sample", "interpolate", "export", "diff")
"""Commands that need no data module."""
OF_CHECKPOINTS = tuple(
    name for name in SHORT if name not in ("compare", "diff", "list", "completion")
)
"""Commands that a flag tells a checkpoint, and that take no word without a flag."""
MEANT = {
    **dict.fromkeys(("train", "training", "resume"), "fit"),
    **{"branch": "fork", "generate": "sample"},
}
"""What commands of these names would be."""
SETTING = "refine."
"""Begins the flags of the settings of a way to refine samples."""
UNBROKEN = 10_000
"""Characters of a line, for a file that is searched by lines."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    @override
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _parser() -> _Parser:
    parser = _Parser(
        prog="lightning-gans",
        description="Generative adversarial networks: train, score, sample and export them.",
        epilog="lightning-gans COMMAND --help lists the arguments of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=_Parser)
    for name, text in TRAINING.items():
        commands.add_parser(name, help=text, add_help=False)

    def add(
        name: str, text: str, arguments: str = "--ckpt_path PATH [--FLAG VALUE ...]"
    ) -> _Parser:
        usage = f"lightning-gans {name} {arguments}"
        return commands.add_parser(
            name,
            # The parser's own needs 60 columns.
            usage="\n".join(wrapped(usage, 7, "usage: ")).removeprefix("usage: "),
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            argument_default=argparse.SUPPRESS,  # what is not given is the function's to choose
        )

    _add_comparison(
        add(
            "compare",
            "train configs with several seeds each, and draw a page that compares them",
            "CONFIG ... [--seeds 0,1,2] [--FLAG VALUE ...]",
        )
    )

    sample = add("sample", "generate a picture, a folder of images, an array or an animation")
    _add_checkpoint(sample, "what to sample from; several make a .gif, a frame each", several=True)
    sample.add_argument(
        "--n", type=_whole, help="number of samples; 64, or 8 of each class, if it is not given"
    )
    _add_classes(sample, "classes to generate, as many of each; all if none are given")
    _add_latents(sample)
    _add_truncation(sample)
    _add_refinement(sample)
    sample.add_argument(
        "--standing_passes",
        type=_whole,
        metavar="K",
        help="estimate the statistics of BatchNorm from K batches of 64 such samples; 16 is usual "
        "with --refine truncate. Those of training are kept if it is not given",
    )
    _add_out(
        sample, "samples.png", ".png, .jpg, .npy or .gif, or a new folder with one file per image"
    )

    interpolate = add("interpolate", "draw interpolations between pairs of latents")
    _add_checkpoint(interpolate, "what to sample from")
    interpolate.add_argument("--n", type=_whole, default=6, help="number of pairs")
    interpolate.add_argument("--steps", type=_whole, default=10, help="samples from end to end")
    interpolate.add_argument("--mode", choices=("spherical", "linear"), default="spherical")
    _add_classes(interpolate, "two classes, to go from the one to the other with the same latent")
    _add_latents(interpolate)
    _add_truncation(interpolate)
    _add_out(interpolate, "interpolation.png", ".png, .jpg or .gif")

    text = "turn your own images into those of the other kind"
    translate = add("translate", text, "--ckpt_path PATH --in FOLDER [--FLAG VALUE ...]")
    _add_checkpoint(translate, "the model, such as a CycleGAN or a Pix2Pix")
    _add_folder(translate, "of the images, of any size; they get the model's channels")
    translate.add_argument(
        "--direction",
        choices=("a_to_b", "b_to_a"),
        default="a_to_b",
        help="from which kind of images to which; a pair's source is a and its target is b",
    )
    _add_weights(translate)
    _add_out(translate, "translations", "a new folder, for images of the same names")
    usage = "--ckpt_path PATH --in FOLDER [--FLAG VALUE ...]"
    text = "of the images; they get the model's size and channels"
    encode = add("encode", "find the codes of your own images, with a model's encoder", usage)
    _add_checkpoint(encode, "the model, such as a BiGAN or an AAE")
    _add_folder(encode, text)
    _add_weights(encode)
    _add_out(encode, "codes.npy", ".npy or .csv, of the codes with the names of the files")

    about = "write your own images as a model makes them from their codes"
    reconstruct = add("reconstruct", about, usage)
    _add_checkpoint(reconstruct, "the model, such as a BiGAN or an AAE")
    _add_folder(reconstruct, text)
    _add_weights(reconstruct)
    _add_out(reconstruct, "reconstructions", "a new folder, for images of the same names")

    evaluate = add("evaluate", "compute every score that fits a checkpoint's data, and save them")
    evaluate.epilog = "Any other flag is one of lightning-gans validate, such as --data.data_dir."
    _add_checkpoint(evaluate, "what to score")
    evaluate.add_argument("--split", choices=("validation", "test"), default="validation")
    evaluate.add_argument(
        "--neighbours",
        action="store_true",
        help="compare with all training images too: the share of near copies, and a picture",
    )
    _add_truncation(evaluate)
    _add_refinement(evaluate)
    _add_out(
        evaluate,
        argparse.SUPPRESS,
        "the .json file; scores.json in the run folder if it is not given, or in the working "
        "directory if the checkpoint is in no run folder; with --refine mh scores_mh.json, and "
        "with --truncation scores_truncated.json",
    )

    export = add("export", "write the generator in a form that other programs open")
    _add_checkpoint(export, "what to export")
    export.add_argument(
        "--format",
        choices=catalogue.FORMATS,
        help="by the extension of --out, or else onnx with --network and safetensors without",
    )
    export.add_argument(
        "--network",
        choices=("encoder", "classifier", "to_b", "to_a"),
        metavar="NETWORK",
        help="to write alone, as ONNX: encoder, SGAN's classifier, or translator to_b or to_a",
    )
    _add_weights(export)
    _add_out(export, argparse.SUPPRESS, "the file; <network>.<format> if it is not given")

    text = "show what differs between two runs, and the first update at which they part"
    compared = add("diff", text, "RUN RUN")
    compared.add_argument(
        "runs", nargs=2, type=Path, metavar="RUN", help="a run folder, or the name of a run"
    )
    compared.epilog = "The exit code is 0 if settings and rows are equal, 1 if they differ."

    add("list", "list the GANs, the data and the included configurations", "")
    completion = add(
        "completion", "print the script that completes commands and names in a shell", "SHELL"
    )
    shells = ("bash", "zsh", "tcsh")
    completion.add_argument("shell", choices=shells, metavar="SHELL", help=", ".join(shells))
    return parser


def _add_comparison(parser: _Parser) -> None:
    parser.epilog = (
        "Run it again to resume what was stopped. Runs are those of lightning-gans fit, in "
        "runs/NAME; only what is missing is trained."
    )
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="names or files, as for fit")
    parser.add_argument("--seeds", metavar="LIST", help="of every config; 0,1,2 if not given")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        metavar="KEY=VALUE",
        help="a setting of all runs, such as trainer.max_steps=300; may be repeated",
    )
    parser.add_argument(
        "--sweep",
        type=Path,
        metavar="FILE",
        help="settings to try with every config, as for a W&B sweep of the method grid or random",
    )
    parser.add_argument(
        "--jobs", type=_whole, metavar="N", help="runs at a time; 2 on this machine"
    )
    parser.add_argument("--name", default="compare", help="of the folder in runs, and of the page")
    parser.add_argument(
        "--out", type=Path, metavar="PAGE.html", help="the page; compare.html in that folder"
    )
    parser.add_argument(
        "--max-hours", type=_number, metavar="H", help="stop after that time, to resume later"
    )
    parser.add_argument(
        "--plan-only",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print the commands that are left to run, and train nothing",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        default=argparse.SUPPRESS,
        help="resume runs that have failed, too",
    )
    parser.add_argument(
        "--only-draw",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="draw these runs, of compare or of fit, and train nothing",
    )
    parser.add_argument(
        "--engine", choices=("local", "slurm"), default="local", help="where the runs train"
    )
    parser.add_argument(
        "--slurm",
        action="append",
        metavar="KEY=VALUE",
        help="a parameter of the jobs, such as partition=gpu, gpus_per_node=1 or time=240, in "
        "minutes",
    )
    _add_modules(parser, "the configs name")


def _add_modules(parser: _Parser, which: str) -> None:
    parser.add_argument(
        "--import",
        dest="allow",
        action="append",
        metavar="MODULE",
        help=f"a module with classes of your own that {which}",
    )


def _add_checkpoint(parser: _Parser, text: str, *, several: bool = False) -> None:
    parser.add_argument(
        "--ckpt_path",
        type=Path,
        required=True,
        nargs="+" if several else None,
        metavar="PATH",
        help=f"{text}: a checkpoint, or a run's folder or name (its best.ckpt, or else last.ckpt)",
    )
    _add_modules(parser, "the checkpoint names")


def _add_folder(parser: _Parser, text: str) -> None:
    parser.add_argument(
        "--in", dest="folder", type=Path, required=True, metavar="FOLDER", help=text
    )


def _add_classes(parser: _Parser, text: str) -> None:
    parser.add_argument("--classes", type=_whole, nargs="+", metavar="K", help=text)


def _add_latents(parser: _Parser) -> None:
    parser.add_argument("--seed", type=_seed, default=0, help="decides the latents")
    _add_weights(parser)


def _add_weights(parser: _Parser) -> None:
    parser.add_argument(
        "--weights",
        choices=("averaged", "raw"),
        help="of the generator; averaged where there are any, if it is not given",
    )


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it must be a whole number, got {text}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it must be a number, got {text}") from None


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"it must be from 0 to 4294967295, got {text}")
    return int(text)


def _add_truncation(parser: _Parser) -> None:
    parser.add_argument(
        "--truncation",
        type=_number,
        metavar="PSI",
        help="for StyleGAN2: moves styles to the average style, of which they keep this part of "
        "their distance, above 0; 1 changes nothing, and 0.7 gives fewer odd samples",
    )


def _add_refinement(parser: _Parser) -> None:
    parser.add_argument(
        "--refine",
        choices=catalogue.REFINERS,
        help="how latents are chosen: by truncation of the prior, or with the discriminator by "
        "rejection, Metropolis-Hastings chains or Langevin's dynamics",
    )
    parser.add_argument(
        f"--{SETTING}threshold",
        type=_number,
        metavar="T",
        help="of truncate: largest absolute value of an entry; 1",
    )
    parser.add_argument(
        f"--{SETTING}percentile",
        type=_number,
        metavar="P",
        help="of drs: half of the samples at it are kept; a lower one keeps more",
    )
    parser.add_argument(
        f"--{SETTING}steps",
        type=_whole,
        metavar="K",
        help="of mh and ddls: steps for each sample; 640 and 500",
    )
    parser.add_argument(
        f"--{SETTING}step_size",
        type=_number,
        metavar="E",
        help="of ddls: size of the steps; 0.001",
    )


def _add_out(parser: _Parser, default: str, text: str) -> None:
    parser.add_argument("--out", type=Path, default=default, metavar="PATH", help=text)


def _list() -> None:
    width = None if sys.stdout and sys.stdout.isatty() else UNBROKEN
    for title, entries in (
        ("models (--model)", catalogue.variants()),
        ("data (--data)", catalogue.data()),
        ("configurations (fit --config)", catalogue.configs()),
    ):
        print(title)
        column = max(28, 4 + max(map(len, entries)))
        for name, text in entries.items():
            print("\n".join(beside(f"  {name}", text, column, width)))
        print()


def _check_command(given: str) -> None:
    """Refuses what is no command, and names what is near."""
    known = (*TRAINING, *SHORT)
    if given in (*known, "-h", "--help", "--version"):
        return
    if given.startswith("-"):
        raise InputError(f"a command comes first, not {given}: {', '.join(known)}.")
    raise InputError(f"there is no command {given}{likely(MEANT.get(given, given), known)}")


def _check_text(text: str) -> None:
    """Refuses arguments that no file and no terminal can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} is not valid UTF-8. Use another name.") from error
    if "\0" in text:
        raise InputError(f"{text!r} holds a NUL character. Use text without it.")


def _run(given: Sequence[str]) -> None:
    """Does what a command line asks for."""
    for text in given:
        _check_text(text)
    parser = _parser()
    _check_command(given[0] if given else "--help")
    if given and not given[0].startswith("-") and given[0] not in WITHOUT_DATA:
        check_data_package()
    if given and given[0] in TRAINING:
        _train(list(given))
        return
    word = given[1] if len(given) > 1 else "-"
    if given and given[0] in OF_CHECKPOINTS and not word.startswith("-"):
        raise InputError(f"{given[0]} reads flags only, not {word}. Use --ckpt_path {word}.")
    asked, flags = parser.parse_known_args(given)
    arguments = vars(asked)
    command = arguments.pop("command")
    settings = {k: arguments.pop(k) for k in [*arguments] if k.startswith(SETTING)}
    if settings:
        arguments["settings"] = {k.removeprefix(SETTING): v for k, v in settings.items()}
    if command == "evaluate":
        arguments["flags"] = flags
    elif command == "compare" and not any(flag.startswith("-") for flag in flags):
        arguments["configs"] = [*arguments.get("configs", ()), *flags]  # from between the flags
    elif flags:
        raise InputError(f"{command} does not know {' '.join(flags)}: see --help.")
    if command is None:
        with _printing():
            parser.print_help()
    elif command == "list":
        with _printing():
            _list()
    elif command == "diff":
        from lightning_gans.cli.commands.diff import diff

        with _printing():
            differs = diff(*arguments["runs"])
        if differs:
            sys.exit(1)
    elif command == "completion":
        with _printing():
            _print_completion(parser, **arguments)
    elif command == "compare":
        from lightning_gans.cli.commands.compare import compare

        compare(**arguments, command=shlex.join(["lightning-gans", *given]))
    else:
        from lightning_gans.cli.mistakes import check, check_checkpoints
        from lightning_gans.cli.modules import import_modules

        paths = arguments["ckpt_path"]
        check_checkpoints(paths if isinstance(paths, list) else [paths])
        if command == "evaluate" and not arguments.get("allow"):
            check(["validate", f"--ckpt_path={paths}", *flags])
        import_modules(arguments.get("allow", ()))
        module = import_module(f"lightning_gans.cli.commands.{command}")
        getattr(module, command)(**arguments)


def _train(given: list[str]) -> None:
    """Does what one of the commands asks for that know their own arguments."""
    from lightning_gans.cli.mistakes import check
    from lightning_gans.cli.short_help import FULL, asked_help

    is_full = FULL in given
    if is_full:
        rest = [part for part in given if part != FULL]
        names_class = any(re.match(r"--.*\.help\b", part) for part in rest)
        given = rest if names_class else [*rest, "--help"]
    elif (text := asked_help(given, TRAINING[given[0]])) is not None:
        with _printing():
            print(text)
        return
    check(given)
    from lightning_gans.cli.training import run

    run(given)


def _print_completion(parser: _Parser, shell: str) -> None:
    """Prints the script that completes commands, flags and the names of what comes along."""
    try:
        import shtab
    except ImportError as error:
        raise InputError("completion needs the package shtab. Use pip install shtab.") from error

    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name in ("fit", "fork", "validate", "test", "predict"):
        for flag, choices in (
            ("--config", catalogue.configs()),
            ("--model", catalogue.variants()),
            ("--data", catalogue.data()),
        ):
            commands.choices[name].add_argument(flag, choices=list(choices))
    (configs,) = (a for a in commands.choices["compare"]._actions if a.dest == "configs")
    configs.choices = list(catalogue.configs())
    print(shtab.complete(parser, shell))


@contextmanager
def _printing() -> Iterator[None]:
    """Says in one line that what is printed cannot be written.

    Raises:
        RunError: as by ``lightning-gans list > /dev/full``.
    """
    try:
        yield
        if sys.stdout is not None:  # closed, as by `lightning-gans list >&-`
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop(sys.stdout)
        raise RunError(f"the output cannot be written: {error.strerror}.") from error


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; what the user gave wrong ends it with one line and exit code 2.

    With ``LIGHTNING_GANS_DEBUG=1`` in the environment errors show their traceback.

    Args:
        arguments: after the program's name; those of the process if they are not given.
    """
    adapt()
    try:
        _run(with_homes(sys.argv[1:] if arguments is None else arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except (InputError, RunError) as error:
        if os.environ.get("LIGHTNING_GANS_DEBUG"):
            raise
        tell(one_line(str(error)), first=error.first)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # as by `lightning-gans list | head -1`
        drop(sys.stdout)
    except KeyboardInterrupt:
        if os.environ.get("LIGHTNING_GANS_DEBUG"):
            raise
        sys.exit(128 + signal.SIGINT)
