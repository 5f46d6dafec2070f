"""Misspelt names are found before PyTorch is imported, and nothing else is refused there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lightning.pytorch import LightningDataModule

from lightning_gans import GAN
from lightning_gans.cli import catalogue
from lightning_gans.cli.hints import SECTIONS, section_settings
from lightning_gans.cli.mistakes import FLAGS, check
from lightning_gans.cli.request import COMMANDS
from lightning_gans.cli.training import GANCLI
from lightning_gans.core.module import AdversarialModule

RING = ["fit", "--config", "gan_ring"]
BOTH = ["--model.optimizer_g.lr", "--model.optimizer_d.lr"]
MISTAKES = [
    (
        ["fit", "--config", "wgan_gp_rign"],
        "config: there is no file and no configuration wgan_gp_rign: did you mean wgan_gp_ring?",
    ),
    (["fit", "--model", "WGAN_GP"], "model: there is no class WGAN_GP: did you mean WGANGP?"),
    (["fit", "--config", "old.yaml"], "model: there is no class WGANPG: did you mean WGANGP?"),
    (["fit", "--model", "Adam"], "model: there is no class Adam; there are ACGAN, CGAN, CVAEGAN,"),
    (
        ["fit", "--model", "GAN", "--data", "gaussian_ring"],
        "data: there is no class gaussian_ring: did you mean GaussianRing?",
    ),
    (["prepare", "--data", "MNST"], "data: there is no class MNST: did you mean MNIST?"),
    (
        ["fit", "--name", "nope", "--ckpt_path", "last"],
        "ckpt_path: There is no run nope in runs; there are digits, ring.",
    ),
    (
        ["validate", "--name", "rng", "--ckpt_path", "best"],
        "ckpt_path: There is no run rng in runs: did you mean ring?",
    ),
    (
        ["sample", "--ckpt_path", "runs/nothing"],
        "ckpt_path: There is no checkpoint and no run folder at runs/nothing.",
    ),
    (
        ["evaluate", "--ckpt_path", "runs/rin"],
        "ckpt_path: There is no checkpoint and no run folder at runs/rin: did you mean runs/ring?",
    ),
    (["train"], "there is no command train: did you mean fit?"),
    (["fit", "gan_ring"], "fit reads flags only, not gan_ring. Use --config gan_ring."),
    (["fit", "gan_rng"], "fit reads flags only, not gan_rng: did you mean --config gan_ring?"),
    ([*RING, "WGANGP"], "fit reads flags only, not WGANGP. Use --model WGANGP."),
    (["fit", "WGANGP"], "fit reads flags only, not WGANGP. Use --model WGANGP."),
    (["fit", "own.yaml"], "fit reads flags only, not own.yaml. Use --config own.yaml."),
    (["validate", "runs/ring"], "validate reads flags only, not runs/ring. Use --ckpt_path runs/"),
    (
        ["fit", "--model", "GAN", "--model.n_critc", "2"],
        "model: GAN has no setting n_critc: did you mean n_critic?",
    ),
    (
        ["fit", "--model", "GAN", "--model.penalty.weight", "2"],
        "model: GAN has no setting penalty; there are data_shape, generator,",
    ),
    ([*RING, "--lr", "0.001"], f"there is no flag --lr. Use {' and '.join(BOTH)}."),
    ([*RING, "--model.lr=1"], f"model: GAN has no setting lr. Use {' and '.join(BOTH)}."),
    (
        ["fit", "--config", "wgan_ring", "--lr", "0.001"],
        f"there is no flag --lr. Use {' and '.join(BOTH)}.",
    ),
    ([*RING, "--batch_size", "8"], "there is no flag --batch_size. Use --data.batch_size."),
    ([*RING, "--max_step", "8"], "there is no flag --max_step: did you mean --trainer.max_steps?"),
    (
        [*RING, "--trainer.max_step", "8"],
        "there is no flag --trainer.max_step: did you mean --trainer.max_steps?",
    ),
    ([*RING, "--trainer.foo"], "there is no flag --trainer.foo; see --help."),
    ([*RING, "--foo", "8"], "there is no flag --foo; see --help."),
    (
        ["evaluate", "--ckpt_path", "runs/ring", "--data.bath_size", "3"],
        "data: there is no setting bath_size: did you mean batch_size?",
    ),
]
ALL = """
import io, json, sys
from contextlib import redirect_stderr
from lightning_gans.cli.main import main
printed = []
for command in json.load(sys.stdin):
    with redirect_stderr(io.StringIO()) as stream:
        try:
            main(command)
        except SystemExit as stopped:
            assert stopped.code == 2
    printed.append(stream.getvalue())
assert "torch" not in sys.modules
print(json.dumps(printed))
"""


def test_misspelt_names_are_told_without_pytorch():
    for run in ("ring", "digits"):
        Path(f"runs/{run}/version_0/checkpoints").mkdir(parents=True)
        Path(f"runs/{run}/version_0/checkpoints/last.ckpt").touch()
    Path("runs/notes").mkdir()
    Path("old.yaml").write_text("model: {class_path: WGANPG}\n")
    done = subprocess.run(
        [sys.executable, "-c", ALL],
        input=json.dumps([command for command, _ in MISTAKES]),
        capture_output=True,
        text=True,
        check=True,
    )
    for (_, message), line in zip(MISTAKES, json.loads(done.stdout), strict=True):
        assert line.startswith(f"lightning-gans: error: {message}")
        assert line.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "my_gan.MyGAN", "--model.own", "1", "--data", "GaussianRing"],
        ["--model", "MyGAN", "--import", "my_gan"],
        ["--model", "my_gan.MyGAN", "--data", "MyData", "--data.own", "1"],
        ["--config", "mine.yaml"],
        ["--model", "lightning_gans.WGANGP", "--model.penalty.weight=1", "--data", "data.yaml"],
        ["--model", "WGANGP", "--model.penalty.weight", "1", "--model", "GAN"],
        ["--model.class_path=GAN", "--model.init_args.n_critic", "2"],
        ["--model", "{class_path: GAN, init_args: {n_critic: 2}}", "--trainer", "trainer.yaml"],
        ["--config", "gan_ring", "--model.regularizers+=R1", "--model.regularizers.weight", "1"],
        ["--config", "gan_ring", "--trainer.callbacks+", "GeneratorEMA", "--trainer.logger=WandB"],
        [
            "--config",
            "gan_ring",
            "--trainer.callbacks+=EarlyStopping",
            "--print_config=skip_unset",
        ],
        ["--config", "gan_ring", "--model.generator.help", "MLPGenerator", "--data=null"],
    ],
)
def test_what_the_parser_may_accept_is_left_to_it(arguments):
    Path("my_gan.py").write_text("OWN = True\n")
    Path("mine.yaml").write_text(
        "model: {class_path: my_gan.MyGAN, init_args: {own: 1}}\ndata: {class_path: MyData}\n"
    )
    Path("data.yaml").write_text("{class_path: GaussianRing, init_args: {sd: 0.1}}")
    check(["fit", *arguments])


def test_classes_of_a_program_that_calls_the_command_line_are_left_to_the_parser():
    class Mine(GAN):
        """Known by its name as soon as it is defined."""

    check(["fit", "--model", Mine.__name__, "--model.own", "1", "--data", "GaussianRing"])


def test_no_other_class_could_be_chosen_by_its_name():
    def below(cls):
        return {cls, *(inner for direct in cls.__subclasses__() for inner in below(direct))}

    for base, known in (
        (AdversarialModule, catalogue.variants()),
        (LightningDataModule, catalogue.data()),
    ):
        rooms = ("lightning_gans", "lightning.pytorch.core", "datamodules")
        ours = {cls for cls in below(base) if cls.__module__.startswith(rooms)}
        whole = {cls.__name__ for cls in ours if not getattr(cls, "__abstractmethods__", False)}
        assert whole - known.keys() <= OF_NO_USE


OF_NO_USE = {
    *("LightningDataModule", "StreamData", "VectorData", "SyntheticData", "GaussianMixture"),
    *("ImageData", "DownloadedImages", "IDXImages"),
}
"""Bases of data modules: they have no data, or need tensors."""


class Parsing(GANCLI):
    """Ends with the parser of the command as soon as it is built."""

    def parse_arguments(self, parser, args):
        sys.exit(self.parser_of(self._request.command))


def flags_of(command):
    with pytest.raises(SystemExit) as stopped:
        Parsing([command, "--config", "gan_ring"])
    options = (
        option for action in stopped.value.code._actions for option in action.option_strings
    )
    return {option[2:].removesuffix("+") for option in options if option.startswith("--")}


def test_the_flags_are_those_of_the_parser():
    of_command = {command: flags_of(command) for command in COMMANDS}
    every = {flag.split(".")[0] for flags in of_command.values() for flag in flags}
    assert {*FLAGS} - {"import"} == every
    for section in SECTIONS:
        known = {f.split(".")[1] for f in of_command["fit"] if f.startswith(f"{section}.")}
        assert known == section_settings(section).keys()
