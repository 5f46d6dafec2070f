"""The short help is there at once, and tells what the parser's help tells."""

import ast
import json
import subprocess
import sys
from importlib import import_module

import pytest
import yaml
from jsonargparse import ArgumentParser

import datamodules
from lightning_gans import variants
from lightning_gans.cli import catalogue
from lightning_gans.cli.hints import CHOSEN, SECTIONS, section_settings
from lightning_gans.cli.main import main
from lightning_gans.cli.short_help import TRAINER, shown_default
from lightning_gans.cli.sources import settings

HELPS = [
    *(["fit", "--help"], ["validate", "-h"], ["test", "--help"], ["predict", "--help"]),
    *(["fork", "--help"], ["prepare", "--help"], ["fit", "--config", "gan_ring", "--help"]),
    *(["fit", "--model.help", name] for name in catalogue.variants()),
    *(["fit", f"--data.help={name}"] for name in catalogue.data()),
    *(["fit", "--model.generator.help", "MLPGenerator"], ["prepare", "--data.help", "MNIST"]),
    ["validate", "--model.help", "lightning_gans.WGANGP"],
]
ALL = """
import json, sys, time
from contextlib import redirect_stdout
from io import StringIO
from lightning_gans.cli.main import main
printed, seconds = [], []
started = time.process_time()
for command in json.load(sys.stdin):
    before = time.process_time()
    with redirect_stdout(StringIO()) as stream:
        main(command)
    printed.append(stream.getvalue())
    seconds.append(started + time.process_time() - before)
assert "torch" not in sys.modules
before = time.process_time()
import torch
assert max(seconds) < (time.process_time() - before) / 2
print(json.dumps(printed))
"""
CLASSES = [
    *(("model", name, getattr(variants, name)) for name in catalogue.variants()),
    *(("data", name, getattr(datamodules, name)) for name in catalogue.data()),
]


@pytest.fixture(scope="module")
def printed():
    """Each help, and the start of the program, takes at most half as long as importing PyTorch."""
    done = subprocess.run(
        [sys.executable, "-c", ALL],
        input=json.dumps(HELPS),
        capture_output=True,
        text=True,
        check=True,
    )
    texts = json.loads(done.stdout)
    return {tuple(command): text for command, text in zip(HELPS, texts, strict=True)}


def test_help_is_short_and_does_not_wait_for_pytorch(printed):
    assert len(printed) == len(HELPS)
    for text in printed.values():
        assert text.startswith("usage: lightning-gans ")
        assert 8 < text.count("\n") <= 150
        assert "`" not in text


def test_help_names_the_flags_of_a_command(printed):
    text = printed["fit", "--help"]
    flags = [f"--{section}" for section in CHOSEN]
    flags += ["--config", "--name", "--ckpt_path", "--seed_everything", "--import"]
    flags += [f"--trainer.{name}" for name in TRAINER]
    callbacks = (section for section in SECTIONS if section != "trainer")
    flags += [f"--{part}.{name}" for part in callbacks for name in section_settings(part)]
    for flag in (*flags, "--help=full"):
        assert flag in text
    assert "generator updates in all (default: 10000)" in text  # of configs/default.yaml
    assert "--checkpoint.mode min | max (default: min)" in text
    assert printed["fit", "--config", "gan_ring", "--help"] == text
    scoring = printed["validate", "-h"]
    assert "--evaluation.metrics+=CLASS" in scoring
    assert "--trainer.max_steps" not in scoring
    assert "--checkpoint" not in scoring


def test_help_on_a_model_has_its_own_settings_first_and_the_classes_that_they_take(printed):
    text = " ".join(printed["fit", "--model.help", "WGANGP"].split())
    for part in (
        "--model.penalty CLASS (default: GradientPenalty) keeps the critic Lipschitz: a",
        "Such as BalancedConsistency, Consistency, DRAGANPenalty, FeatureMatching, Gradie",
        "--model.optimizer_d CLASS (default: GANAdam(lr=0.0001, beta1=0.0, beta2=0.9)) makes",
        "Such as BigGANDiscriminator, ChannelwiseDiscriminator, CoupledDiscriminator,",
        "--model.regularizers+=CLASS (default: [])",
        "--model.gradient_clip_norm float | null (default: null) largest norm of one player's",
    ):
        assert part in text
    assert text.index("--model.penalty") < text.index("from GAN:") < text.index("--model.prior")
    assert printed["validate", "--model.help", "lightning_gans.WGANGP"].count("--model.") > 16


def test_help_on_a_part_leaves_out_what_the_model_gives(printed):
    text = printed["fit", "--model.generator.help", "MLPGenerator"]
    assert "--model.generator.activation CLASS (default: torch.nn.ReLU)" in text
    assert "--model.generator.hidden Sequence[int] (default: [128, 128, 128])" in text
    assert "latent_dim" not in text


@pytest.mark.parametrize(("section", "name", "cls"), CLASSES)
def test_settings_are_those_of_the_parser(section, name, cls, printed):
    parser = ArgumentParser()
    parser.add_class_arguments(cls)
    actions = (a for a in parser._actions if a.dest != "help" and not a.dest.endswith(".help"))
    expected = {action.dest: action for action in actions}
    found = section_settings(section, [name])
    assert found.keys() == expected.keys()
    asked = {"model": ("fit", "--model.help", name), "data": ("fit", f"--data.help={name}")}
    for key, setting in found.items():
        assert f"  --{section}.{key}" in printed[asked[section]]
        assert setting.text
        assert not setting.text.startswith("see `")
        action = expected[key]
        kind = getattr(action, "_typehint", action.type)
        if "Unvalidated" not in str(kind):  # as the parser calls what it has no notion of
            assert eval(setting.kind, vars(import_module(setting.owner.module))) == kind
        assert made_from(setting.default) == default_of(action)


def test_sections_have_the_defaults_of_the_parser():
    for section, (module, name) in SECTIONS.items():
        parser = ArgumentParser()
        parser.add_class_arguments(getattr(import_module(module), name))
        for key, setting in section_settings(section).items():
            expected = parser.get_defaults()[key]
            assert yaml.safe_load(shown_default(setting.default)) == expected
    assert TRAINER.keys() <= section_settings("trainer").keys()


def made_from(source):
    """Returns the name of a class and its arguments, or a value, from a default's source."""
    if source is None:
        return None
    tree = ast.parse(source, mode="eval").body
    if isinstance(tree, ast.Lambda):
        call = tree.body
        given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        return call.func.id, given
    return (tree.id, {}) if isinstance(tree, ast.Name) else ast.literal_eval(source)


def default_of(action):
    default = action.default
    if isinstance(default, dict) and "class_path" in default:
        return default["class_path"].rpartition(".")[2], dict(default.get("init_args", {}))
    return default


def test_full_help_is_the_parsers(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--data.help", "GaussianRing", "--help=full"])
    assert stopped.value.code == 0
    assert "(type: int, default: 8)" in capsys.readouterr().out


OWN = """
from lightning_gans import HingeGAN
class MyGAN(HingeGAN):
    '''Trains as I like.

    Args:
        own: strength of it, at least 0.
    '''
    def __init__(self, *, own: int = 3, **kwargs):
        super().__init__(n_critic=2, **kwargs)
class Further(MyGAN):
    pass
"""


@pytest.mark.parametrize(
    "flags",
    [
        ["--model.help", "helped_gan.MyGAN"],
        ["--model.help=helped_gan.MyGAN"],
        ["--import", "helped_gan", "--model.help", "MyGAN"],
        ["--model.help", "--model", "helped_gan.MyGAN"],
        ["--model=helped_gan.MyGAN", "--model.help"],
    ],
)
def test_a_class_of_ones_own_has_the_short_help_too(flags, tmp_path, capsys):
    (tmp_path / "helped_gan.py").write_text(OWN)
    main(["fit", *flags])
    text = capsys.readouterr().out
    assert text.startswith("usage: lightning-gans fit --model helped_gan.MyGAN [--model.SETTING")
    assert "\n\nTrains as I like.\n\n" in text
    own = text.index("  --model.own int (default: 3)\n      strength of it, at least 0.\n")
    assert own < text.index("settings that come from HingeGAN") < text.index("--model.prior")
    assert "--model.n_critic" not in text  # which the class decides
    assert text.endswith("--model.help helped_gan.MyGAN --help=full has the parser's\nown help.\n")


def test_a_class_without_a_docstring_and_in_a_package_without_a_file_is_read(tmp_path, capsys):
    (tmp_path / "nets_of_mine").mkdir()
    (tmp_path / "nets_of_mine" / "gans.py").write_text(OWN)
    main(["fit", "--model.help", "nets_of_mine.gans.Further"])
    text = capsys.readouterr().out
    assert "\n\nnets_of_mine.gans.Further\n\nsettings:\n  --model.own int (default: 3)\n" in text


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("from helped_base import GAN as Base", None),  # imported, so not read
        ("import lightning_gans; Base = lightning_gans.GAN", None),
        ("from lightning_gans import GAN as Base; x = (", "'(' was never closed"),
    ],
)
def test_a_class_that_cannot_be_read_has_the_parsers_help(first, message, tmp_path, capsys):
    (tmp_path / "helped_base.py").write_text("from lightning_gans import GAN\n")
    (tmp_path / "helped_other.py").write_text(
        f"{first}\nclass MyGAN(Base):\n    def __init__(self, *, own: int = 3, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
    )
    sys.modules.pop("helped_other", None)
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--model.help", "helped_other.MyGAN"])
    told = capsys.readouterr()
    if message is None:
        assert stopped.value.code == 0
        assert "--model.own OWN" in told.out
    else:
        assert stopped.value.code == 2
        assert message in told.err


@pytest.mark.parametrize("flags", [["--model.help"], ["--model.help", "--data", "MNIST"]])
def test_help_on_no_class_is_refused(flags, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", *flags])
    assert stopped.value.code == 2
    told = "model.help: no class is named. Use --model.help with one, such as --model.help WGANGP."
    assert told in capsys.readouterr().err


def test_help_on_the_model_of_the_command_needs_no_class(printed, capsys):
    main(["fit", "--data.help", "--data", "MNIST"])
    assert capsys.readouterr().out.startswith("usage: lightning-gans fit --data MNIST [")


def test_what_a_class_decides_for_its_base_is_no_setting(tmp_path, monkeypatch):
    from lightning_gans.cli import sources

    (tmp_path / "decided.py").write_text(
        "class Base:\n    def __init__(self, a: int = 1, *, b: int = 2):\n        ...\n\n\n"
        "class Decided(Base):\n    def __init__(self, c: int, **kwargs):\n"
        "        super().__init__(b=3, **kwargs)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tree = ast.parse((tmp_path / "decided.py").read_text())
    monkeypatch.setattr(sources, "_tree", lambda module: tree)
    decided = sources.find("decided", "Decided")
    assert [*settings(decided)] == ["c", "a"]


def test_defaults_of_a_fork_are_those_of_the_checkpoint(printed):
    fit, fork = printed["fit", "--help"], printed["fork", "--help"]
    assert "(default: 10000)" in fit
    assert "(default: 10000)" not in fork
    assert "by default those of the checkpoint" in " ".join(fork.split())
    assert "default: that of the checkpoint" in printed["validate", "-h"]
    assert "(default: that of the run)" in printed["validate", "-h"]
