"""Misspelt names are found before PyTorch is imported, and nothing else is refused there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import LightningDataModule

from lightning_gans import GAN
from lightning_gans.cli import catalogue
from lightning_gans.cli.hints import SECTIONS, section_settings
from lightning_gans.cli.main import main
from lightning_gans.cli.mistakes import FLAGS, check
from lightning_gans.cli.request import COMMANDS, check_keys
from lightning_gans.cli.training import GANCLI
from lightning_gans.core.module import AdversarialModule

ON_RING = ["--data", "GaussianRing"]
RING = ["fit", "--config", "gan_ring"]
BOTH = ["--model.optimizer_g.lr", "--model.optimizer_d.lr"]
MISTAKES = [
    (
        ["fit", "--config", "wgan_gp_rign"],
        "config: there is no file and no configuration wgan_gp_rign: did you mean wgan_gp_ring?",
    ),
    (["fit", "--model", "WGAN_GP"], "model: there is no class WGAN_GP: did you mean WGANGP?"),
    (["fit", "--config", "old.yaml"], "model: there is no class WGANPG: did you mean WGANGP?"),
    (["fit", "--model", "Adam"], "model: there is no class Adam; there are AAE, ACGAN, BEGAN,"),
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
    ([*RING, "--seed", "3"], "there is no flag --seed. Use --seed_everything."),
    ([*RING, "--max_step", "8"], "there is no flag --max_step: did you mean --trainer.max_steps?"),
    (
        [*RING, "--trainer.max_step", "8"],
        "there is no flag --trainer.max_step: did you mean --trainer.max_steps?",
    ),
    ([*RING, "--trainer.foo"], "there is no flag --trainer.foo; see --help."),
    ([*RING, "--model.n_critic"], "argument --model.n_critic: expected one argument"),
    ([*RING, "--model.n_critic", "--name", "a"], "argument --model.n_critic: expected one argum"),
    ([*RING, "--model.n_critic", "two"], "model.n_critic must be a whole number, got two."),
    ([*RING, "--model.n_critic", "2.5"], "model.n_critic must be a whole number, got 2.5."),
    (["fit", "--config", "typed.yaml"], "model.n_critic must be a whole number, got null."),
    ([*RING, "--data.batch_size=big"], "data.batch_size must be a whole number, got big."),
    ([*RING, "--data.labels", "maybe"], "data.labels must be true or false, got maybe."),
    (
        [*RING, "--model.generator.hidden", "64"],
        "model.generator.hidden must be a list of whole numbers, such as [64,32], got 64.",
    ),
    ([*RING, "--model.optimizer_g.lr", "fast"], "model.optimizer_g.lr must be a number, got fast"),
    (
        [*RING, "--model.optimizer_d", "SGD", "--model.optimizer_d.lr", "fast"],
        "model.optimizer_d.lr must be a number, got fast.",
    ),
    ([*RING, "--checkpoint.mode", "low"], "checkpoint.mode must be min or max, got low."),
    ([*RING, "--trainer.max_steps", "many"], "trainer.max_steps must be a whole number, got many"),
    ([*RING, "--trainer.max_steps", "0"], "trainer.max_steps must be above 0, got 0."),
    (
        [*RING, "--trainer.fast_dev_run", "x"],
        "trainer.fast_dev_run must be a whole number, true or",
    ),
    (
        [*RING, "--trainer.precision", "fp16"],
        "trainer.precision must be 32-true, bf16-mixed, 16-mixed or 64-true, got fp16.",
    ),
    (
        [*RING, "--trainer.accelerator", "gpus"],
        "trainer.accelerator must be auto, cpu, gpu or mps, got gpus.",
    ),
    (
        [*RING, "--trainer.devices", "two"],
        "trainer.devices must be a number such as 2, a list such as [0,1], or auto, got two.",
    ),
    (
        [*RING, "--trainer.max_time", "1h"],
        "trainer.max_time must be DD:HH:MM:SS, such as 00:01:30:00, got 1h.",
    ),
    (
        [*RING, "--trainer.gradient_clip_val", "1"],
        "trainer.gradient_clip_val: the trainer cannot clip the gradients of two players. Use",
    ),
    (
        [*RING, "--trainer.accumulate_grad_batches", "4"],
        "trainer.accumulate_grad_batches: the trainer cannot add up the gradients of two players.",
    ),
    (
        [*RING, "--trainer.enable_checkpointing", "false"],
        "trainer.enable_checkpointing: every run keeps its last checkpoint and its rows, got",
    ),
    (
        [*RING, "--trainer.barebones", "true"],
        "trainer.barebones: every run keeps its last checkpoint and its rows, got true. Leave it",
    ),
    (
        [*RING, "--trainer", "5"],
        "trainer is a group of settings. Use --trainer.SETTING 5: see --h",
    ),
    (
        [*RING, "--trainer.logger.project", "mine"],
        "trainer.logger is not chosen. Use --trainer.logger CLASS in front of",
    ),
    (
        [*RING, "--trainer.logger", "Wandb"],
        "trainer.logger: there is no class Wandb: did you mean W",
    ),
    (
        [*RING, "--trainer.callbacks+=EarlyStoping"],
        "trainer.callbacks: there is no class EarlyStoping: did you mean EarlyStopping?",
    ),
    (
        [*RING, "--seed_everything", "abc"],
        "seed_everything must be a whole number, true or false,",
    ),
    ([*RING, "--threads", "two"], "threads must be a whole number, got two."),
    ([*RING, "--name", "a/b"], "name: it must be the name of a folder, got 'a/b'."),
    (
        [*RING, "--model.generator", "MLPGenrator"],
        "model.generator: there is no class MLPGenrator: did you mean MLPGenerator?",
    ),
    (
        [*RING, "--model.generator.hiden", "[3]"],
        "model.generator: MLPGenerator has no setting hiden: did you mean hidden?",
    ),
    (
        [*RING, "--model.discriminator.dropout", "0.1"],
        "model.discriminator: MLPDiscriminator has no setting dropout; there are hidden, ",
    ),
    (
        [*RING, "--model.optimizer_g", "SGD", "--model.optimizer_g.momentun", "0.5"],
        "model.optimizer_g: SGD has no setting momentun: did you mean momentum?",
    ),
    (
        [*RING, "--model.optimizer_g", "Adm"],
        "model.optimizer_g: there is no class Adm: did you me",
    ),
    (
        [*RING, "--model.loss", "Wasserstien"],
        "model.loss: there is no class Wasserstien: did you mean Wasserstein?",
    ),
    (
        [*RING, "--model.loss", "x"],
        "model.loss: there is no class x; there are BoundaryEquilibrium, Cramer",
    ),
    (
        [*RING, "--model.regularizers+=R3"],
        "model.regularizers: there is no class R3; there are Bal",
    ),
    (
        [*RING, "--model.regularizers", "R1"],
        "model.regularizers must be a list, got R1. Use --model.regularizers+=R1.",
    ),
    (
        [*RING, "--model.prior", "Normal"],
        "model.prior: there is no class Normal: did you mean Norm",
    ),
    (
        ["fit", "--model", "GAN", *ON_RING, "--model.prior", "NormalPrior"],
        "model.prior.dim is missing. Use --model.prior.dim ",
    ),
    ([*RING, "--model", "null"], "model is missing. Use --model, such as --model WGANGP."),
    (["fit", "--model", "GAN"], "data is missing. Use --data, such as --data GaussianRing."),
    (["fit", *ON_RING], "model is missing. Use --model, such as --model WGANGP."),
    (["prepare"], "data is missing. Use --data, such as --data MNIST."),
    (
        ["fit", "--model", "GAN", "--data", "ArrayData"],
        "data.path is missing. Use --data.path VALUE.",
    ),
    (
        ["fit", "--config", "list.yaml"],
        "config: list.yaml has no settings, such as model: WGANGP.",
    ),
    (
        ["fit", "--config", "bad.yaml"],
        "config: bad.yaml is not valid YAML: while parsing a flow n",
    ),
    (["sample"], "the following arguments are required: --ckpt_path"),
    *(
        (
            [command, "runs/ring"],
            f"{command} reads flags only, not runs/ring. Use --ckpt_path runs/ring.",
        )
        for command in ("sample", "interpolate", "evaluate", "export", "translate", "encode")
    ),
    (
        ["sample", "--ckpt_path", "runs/ring", "--n", "many"],
        "argument --n: it must be a whole number, got many",
    ),
    (
        ["export", "--ckpt_path", "runs/ring", "--format", "torchscript"],
        "argument --format: invalid choice: 'torchscript' (choose from ",
    ),
    ([*RING, "--foo", "8"], "there is no flag --foo; see --help."),
    (
        ["evaluate", "--ckpt_path", "runs/ring", "--data.bath_size", "3"],
        "data: there is no setting bath_size: did you mean batch_size?",
    ),
    (["fit", "--config", "part.yaml"], "model.regularizers: there is no class R3; there are Bal"),
    (["fit", "--config", "inner.yaml"], "model.regularizers: R1 has no setting weigth: did you"),
    (["fit", "--config", "much.yaml"], "model.regularizers.weight must be a number, got much."),
    (["fit", "--config", "hollow.yaml"], "trainer has no settings below it. Leave it out of the"),
]


def write_config(path, regularizers):
    model = {"class_path": "GAN", "init_args": {"regularizers": regularizers}}
    Path(path).write_text(yaml.safe_dump({"model": model, "data": "GaussianRing"}))


ALL = """
import io, json, resource, sys
from contextlib import redirect_stderr
from lightning_gans.cli.main import main
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_utime
start = used()
commands = json.load(sys.stdin)
printed = []
for command in commands:
    with redirect_stderr(io.StringIO()) as stream:
        try:
            main(command)
        except SystemExit as stopped:
            assert stopped.code == 2
    printed.append(stream.getvalue())
assert "torch" not in sys.modules
assert used() - start < len(commands) * start  # each takes less than to start the program
print(json.dumps(printed))
"""


def test_misspelt_names_are_told_without_pytorch():
    for run in ("ring", "digits"):
        Path(f"runs/{run}/version_0/checkpoints").mkdir(parents=True)
        Path(f"runs/{run}/version_0/checkpoints/last.ckpt").touch()
    Path("runs/notes").mkdir()
    Path("old.yaml").write_text("model: {class_path: WGANPG}\n")
    Path("typed.yaml").write_text(
        "model: {class_path: GAN, init_args: {n_critic: null}}\ndata: GaussianRing\n"
    )
    Path("hollow.yaml").write_text("model: GAN\ndata: GaussianRing\ntrainer:\n")
    Path("list.yaml").write_text("- 1\n")
    Path("bad.yaml").write_text("model: [\n")
    for name, part in {
        "part": {"class_path": "R3"},
        "inner": {"class_path": "R1", "init_args": {"weigth": 1}},
        "much": {"class_path": "R1", "init_args": {"weight": "much"}},
    }.items():
        write_config(f"{name}.yaml", [part])
    before = sorted(Path().rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", ALL],
        input=json.dumps([command for command, _ in MISTAKES]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for (_, message), line in zip(MISTAKES, json.loads(done.stdout), strict=True):
        assert line.startswith(f"lightning-gans: error: {message}")
        assert line.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
    assert len(MISTAKES) > 60


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "my_nets.MyGAN", "--model.own", "1", "--data", "GaussianRing"],
        ["--model", "MyGAN", "--import", "my_nets", "--data", "GaussianRing"],
        ["--model", "my_nets.MyGAN", "--data", "MyData", "--data.own", "1"],
        ["--config", "mine.yaml"],
        ["--model", "lightning_gans.WGANGP", "--model.penalty.weight=1", "--data", "data.yaml"],
        ["--model", "WGANGP", "--model.penalty.weight", "1", "--model", "GAN", *ON_RING],
        ["--model.class_path=GAN", "--model.init_args.n_critic", "2", *ON_RING],
        ["--model", "{class_path: GAN, init_args: {n_critic: 2}}", *ON_RING],
        ["--config", "gan_ring", "--trainer", "trainer.yaml"],
        ["--config", "gan_ring", "--model.generator.hidden", "[64,64]", "--trainer.devices=[0,1]"],
        ["--config", "gan_ring", "--model.generator.hidden+=64", "--model.prior=null"],
        ["--config", "gan_ring", "--model.optimizer_g", "SGD", "--model.optimizer_g.lr", "1e-3"],
        ["--config", "gan_ring", "--model.optimizer_g.lr=1", "--trainer.max_time.days", "1"],
        [
            "--config",
            "gan_ring",
            "--trainer.logger",
            "TensorBoardLogger",
            "--trainer.precision=16",
        ],
        ["--config", "gan_ring", "--trainer.logger", "WandB", "--trainer.logger.project", "mine"],
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
    Path("my_nets.py").write_text("OWN = True\n")
    Path("mine.yaml").write_text(
        "model: {class_path: my_nets.MyGAN, init_args: {own: 1}}\ndata: {class_path: MyData}\n"
    )
    Path("data.yaml").write_text("{class_path: GaussianRing, init_args: {sd: 0.1}}")
    Path("trainer.yaml").write_text("max_steps: 3")
    check(["fit", *arguments])


CHECKED = """
import json, sys
from lightning_gans.cli.mistakes import check
for command in json.load(sys.stdin):
    check(command)
"""


def test_a_config_may_have_a_list_of_parts():
    """As the config.yaml of a run has them whose regularizers were added by flags."""
    r1, r2 = (
        {"class_path": name, "init_args": {"weight": 0.5}}
        for name in ("R1", "lightning_gans.regularizers.R2")
    )
    commands = []
    for index, parts in enumerate(([r1, r2], [r1], [{"class_path": "R1"}], ["R1", "R2"], [])):
        write_config(f"{index}.yaml", parts)
        commands.append(["fit", "--config", f"{index}.yaml"])
        commands.append([*RING, f"--model.regularizers={json.dumps(parts)}"])
    subprocess.run(
        [sys.executable, "-c", CHECKED],
        input=json.dumps(commands),
        text=True,
        check=True,
        timeout=60,
    )


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
    *("ImageData", "DownloadedImages", "IDXImages", "TranslationData", "TransformedImages"),
    "_Folders",
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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "model: {class_path: GAN, loss: Hinge, n_critic: 2}\ndata: GaussianRing",
            "model: loss, n_critic must stand below init_args, which is beside class_path: GAN.",
        ),
        (
            "model: GAN\ndata:\n  class_path: GaussianRing\n  batch_size: 8",
            "data: batch_size must stand below init_args, which is beside class_path: Gaussian",
        ),
        (
            "model: {class_path: GAN, init_args: {regularizers: [{class_path: R1, weight: 1}]}}",
            "model.init_args.regularizers[0]: weight must stand below init_args",
        ),
    ],
)
def test_arguments_beside_the_path_of_their_class_are_told_of(text, told, capsys):
    Path("mine.yaml").write_text(text)
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", "mine.yaml"])
    assert end.value.code == 2
    assert f"config: mine.yaml: {told}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_steps: 100", "there is no section max_steps. Write max_steps below trainer.\n"),
        ("n_critic: 2", "there is no section n_critic. Write n_critic below model.\n"),
        ("batch_size: 2", "there is no section batch_size. Write batch_size below data.\n"),
        ("callbacks+: GeneratorEMA", "no section callbacks. Write callbacks below trainer.\n"),
        ("lr: 0.1", "Write lr below model.optimizer_g and model.optimizer_d.\n"),
        ("trainr.max_steps: 1", "there is no section trainr: did you mean trainer?\n"),
        ("modle: WGAN", "there is no section modle: did you mean model?\n"),
        ("seed: 3", "there is no section seed. Use seed_everything.\n"),
        (
            "fit: {model: GAN}",
            "there is no section fit; there are model, data, trainer, progress,",
        ),
        ("import: my_nets", "import is no setting. Use --import.\n"),
    ],
)
def test_a_setting_of_a_file_in_no_section_is_told_where_it_belongs(text, told, capsys):
    Path("mine.yaml").write_text(f"model: GAN\ndata: GaussianRing\n{text}\n")
    with pytest.raises(SystemExit) as end:
        main(["fit", "--config", "mine.yaml"])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("lightning-gans: error: config: mine.yaml: ")
    assert told in message


def test_sections_of_a_file_may_be_written_with_dots(capsys):
    lines = ["model: GAN", "data.class_path: GaussianRing", "trainer.max_steps: 2", "name: dots"]
    lines += ["pictures.enabled: false", "threads: 1", "trainer.limit_val_batches: 0"]
    Path("mine.yaml").write_text("\n".join([*lines, "trainer.callbacks+: GeneratorEMA"]))
    main(["fit", "--config", "mine.yaml"])
    assert "GAN on GaussianRing" in capsys.readouterr().out
    assert Path("runs/dots/version_0/run.json").is_file()


def test_anchors_and_merged_keys_of_a_file_are_read():
    """A key that a mapping takes over from another one is not there twice."""
    Path("mine.yaml").write_text(
        "model:\n  class_path: GAN\n  init_args:\n"
        "    optimizer_g: {class_path: GANAdam, init_args: &base {lr: 1.0e-3, beta1: 0.0}}\n"
        "    optimizer_d:\n      class_path: GANAdam\n      init_args: &mine\n"
        "        <<: *base\n        lr: 2.0e-3\n"
        "    scheduler: null\n"
        "data: GaussianRing\ntrainer: {max_steps: 1, limit_val_batches: 0}\n"
        "pictures: {enabled: false}\n"
    )
    main(["fit", "--config", "mine.yaml"])
    config = yaml.safe_load(Path("runs/mine/version_0/config.yaml").read_text())
    rates = [
        config["model"]["init_args"][f"optimizer_{one}"]["init_args"]["lr"] for one in ("g", "d")
    ]
    assert rates == [1e-3, 2e-3]


@pytest.mark.parametrize(
    "text",
    [
        # A mapping that takes over one that has taken over keys itself, and stands deeper.
        "a: {b: {c: &base {x: 1, y: 2}, d: &mine {<<: *base, x: 3}}}\ne: {<<: *mine}\n",
        "a: {1: x, '1': y}\n",
        "a: &one {x: 1}\nb: *one\nc: *one\n",
        "- {x: 1}\n- {x: 1}\n",
    ],
)
def test_keys_that_are_there_once_pass(text):
    check_keys(text)


@pytest.mark.parametrize("text", ["a: 1\n'a': 2", "x: {a: 1, b: {c: 1, c: 2}}", "- {a: 1, a: 1}"])
def test_keys_that_are_there_twice_are_refused(text):
    with pytest.raises(yaml.YAMLError, match=r"\w is there twice"):
        check_keys(text)
