"""Files made to do harm: none is opened in a way that runs what it brings along."""

import contextlib
import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from made import fill
from safetensors import safe_open
from safetensors.torch import save_file

from lightning_gans import load
from lightning_gans.cli.main import main
from lightning_gans.cli.screen import say
from lightning_gans.core.checkpointing import read_checkpoint
from lightning_gans.core.exports import export_bytes, read_export

MARK = "pwned"
"""The file that an exploit makes if it runs."""
EVIL = f"""open({MARK!r}, "w").close()
from torch import nn
class Net(nn.Module): pass
def run(*arguments, **keywords): open({MARK!r}, "w").close()
"""


BRIEF = [
    *("--name", "run", "--model", "WGANGP", "--data", "GaussianRing"),
    *("--data.num_eval_samples", "32", "--data.batch_size", "8"),
    *("--trainer.max_steps", "2", "--pictures.enabled", "false"),
]


class Command:
    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A checkpoint that does no harm."""
    root = tmp_path_factory.mktemp("honest")
    main(["fit", *BRIEF, "--trainer.default_root_dir", str(root)])
    return root / "run" / "version_0" / "checkpoints" / "last.ckpt"


@pytest.fixture(autouse=True)
def evil(tmp_path, monkeypatch):
    """A module that could be imported, and must not be."""
    Path("evil.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    assert "evil" not in sys.modules
    assert not Path(MARK).exists()


def set_in(state, place, value):
    """Puts a value into nested dicts, at a place such as "config/model/class_path"."""
    *path, last = place.split("/")
    for key in path:
        state = state[key]
    state[last] = value


GENERATOR = "hyper_parameters/generator"
MODEL = "config/model/init_args"
NETWORKS = {
    "a class of a module that is not imported": {"class_path": "evil.Net"},
    "a function of such a module": {"class_path": "evil.run"},
    "a function": {"class_path": "os.system", "init_args": {"command": f"touch {MARK}"}},
    "a class that is no network": {
        "class_path": "subprocess.Popen",
        "init_args": {"args": ["touch", MARK]},
    },
    "a class that writes a file": {
        "class_path": "logging.FileHandler",
        "init_args": {"filename": MARK},
    },
    "a module that is no network": {"class_path": "torch.nn.MSELoss"},
    "an argument that names a function": {
        "class_path": "lightning_gans.networks.MLPGenerator",
        "init_args": {"output": "evil.Net"},
    },
    "an argument that names a function which is there": {
        "class_path": "lightning_gans.networks.MLPGenerator",
        "init_args": {"output": "os.getcwd"},
    },
    "a class deeper inside": {
        "class_path": "lightning_gans.networks.MLPDiscriminator",
        "init_args": {"activation": {"class_path": "evil.Net"}},
    },
}
SETTINGS = {
    "data": ("config/data", {"class_path": "evil.Net"}),
    "data that is no data": (
        "config/data",
        {"class_path": "logging.FileHandler", "init_args": {"filename": MARK}},
    ),
    "a callback": ("config/trainer/callbacks", [{"class_path": "evil.Net"}]),
    "a callback's function": (
        "config/trainer/callbacks",
        [
            {
                "class_path": "lightning.pytorch.callbacks.LambdaCallback",
                "init_args": {"setup": "evil.run"},
            }
        ],
    ),
    "a callback that is none": (
        "config/trainer/callbacks",
        [{"class_path": "subprocess.Popen", "init_args": {"args": ["touch", MARK]}}],
    ),
    "a metric": ("config/evaluation/metrics", [{"class_path": "evil.Net"}]),
    "an optimizer": (f"{MODEL}/optimizer_g", {"class_path": "evil.run"}),
    "an optimizer that is none": (
        f"{MODEL}/optimizer_g",
        {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", MARK]}},
    ),
    "a scheduler": (f"{MODEL}/scheduler", "evil.run"),
}
LOGGERS = {"a logger": ("config/trainer/logger", [{"class_path": "evil.Net"}])}


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lightning-gans: error: ")
    return line


COMMANDS = ["fit", "fork", "validate", "sample", "interpolate", "evaluate", "export"]


def each_with_each(firsts, seconds):
    """Returns all pairs, of which one of each first is quick, with each second in its turn."""
    return [
        pytest.param(first, second, marks=() if i % len(seconds) == k else pytest.mark.slow)
        for i, first in enumerate(firsts)
        for k, second in enumerate(seconds)
    ]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("plain", [False, True])
def test_a_pickle_is_not_run(plain, command, honest, capsys):
    state = {**read_checkpoint(honest), "callbacks": Command()}
    if plain:
        Path("bad.ckpt").write_bytes(pickle.dumps(state))
    else:
        torch.save(state, "bad.ckpt")
    message = refused(capsys, command, "--ckpt_path", "bad.ckpt")
    assert "bad.ckpt holds more than plain data and tensors" in message
    with pytest.raises(ValueError, match="holds more than plain data and tensors"):
        load("bad.ckpt")


@pytest.mark.parametrize("what", NETWORKS)
def test_hyper_parameters_build_networks_only(what, honest, capsys):
    state = read_checkpoint(honest)
    set_in(state, GENERATOR, NETWORKS[what])
    torch.save(state, "bad.ckpt")
    with pytest.raises(ValueError, match=r"bad\.ckpt"):
        load("bad.ckpt")
    for command in ("sample", "interpolate", "export"):
        assert "bad.ckpt" in refused(capsys, command, "--ckpt_path", "bad.ckpt")
    assert sorted(os.listdir()) == ["bad.ckpt", "evil.py"]


@pytest.mark.parametrize("what", NETWORKS)
def test_the_settings_of_a_run_build_networks_only(what, honest, capsys):
    state = read_checkpoint(honest)
    set_in(state, f"{MODEL}/generator", NETWORKS[what])
    torch.save(state, "bad.ckpt")
    for command in ("fit", "validate", "evaluate"):
        more = ["--trainer.max_steps", "4"] if command == "fit" else []
        refused(capsys, command, "--ckpt_path", "bad.ckpt", *more)
    assert sorted(os.listdir()) == ["bad.ckpt", "evil.py"]


@pytest.mark.parametrize("what", [*SETTINGS, *LOGGERS])
def test_the_settings_of_a_run_bring_no_classes_along(what, honest, capsys):
    state = copy.deepcopy(read_checkpoint(honest))
    set_in(state, *{**SETTINGS, **LOGGERS}[what])
    torch.save(state, "bad.ckpt")
    refused(capsys, "fit", "--ckpt_path", "bad.ckpt", "--trainer.max_steps", "4")
    if what in SETTINGS:
        refused(capsys, "validate", "--ckpt_path", "bad.ckpt")
    assert sorted(os.listdir()) == ["bad.ckpt", "evil.py"]


@pytest.mark.parametrize("what", NETWORKS)
def test_exports_build_networks_only(what, honest, capsys):
    main(["export", "--ckpt_path", str(honest), "--out", "good.safetensors"])
    capsys.readouterr()
    description = read_export("good.safetensors")
    weights = description.pop("state_dict")
    set_in(description, GENERATOR, NETWORKS[what])
    Path("bad.safetensors").write_bytes(export_bytes(weights, description))
    with pytest.raises(ValueError, match=r"bad\.safetensors"):
        load("bad.safetensors")
    assert "bad.safetensors" in refused(capsys, "sample", "--ckpt_path", "bad.safetensors")
    assert sorted(os.listdir()) == ["bad.safetensors", "evil.py", "good.safetensors"]


@pytest.fixture
def own(monkeypatch):
    """A checkpoint with a network of the user's own, in a module that Python finds."""
    Path("mine").mkdir()
    Path("mine/nets.py").write_text(
        "from lightning_gans.networks import MLPGenerator\nclass Mine(MLPGenerator): pass\n"
    )
    monkeypatch.syspath_prepend("mine")
    main(["fit", *BRIEF, "--model.generator", "nets.Mine"])
    del sys.modules["nets"]
    yield ["--ckpt_path", "runs/run/version_0/checkpoints/last.ckpt"]
    sys.modules.pop("nets", None)


def test_who_trusts_a_file_imports_what_it_names(own, capsys):
    message = refused(capsys, "validate", *own)
    assert (
        "model.generator: the file names 'nets.Mine', which is not one of the known subclasses of "
        "Module. If you trust it, use --import nets." in message
    )
    message = refused(capsys, "sample", *own)
    assert "generator: the file names 'nets.Mine'" in message
    assert "If you trust it, use --import nets." in message
    assert "nets" not in sys.modules
    main(["validate", *own, "--import", "nets"])
    main(["sample", *own, "--import", "nets"])


def test_to_name_a_class_is_to_trust_it(own):
    main(["validate", *own, "--model.generator", "nets.Mine"])


@pytest.mark.parametrize("flag", [["--ckpt_path", "evil.Net"], ["--ckpt_path=evil.Net"]])
def test_the_name_of_a_file_does_not_make_it_trusted(flag, honest, capsys):
    state = read_checkpoint(honest)
    set_in(state, f"{MODEL}/generator", {"class_path": "evil.Net"})
    torch.save(state, "evil.Net")
    assert "model.generator: the file names 'evil.Net'" in refused(capsys, "validate", *flag)


# Under watch


def audited(folder, *arguments):
    """Runs the script that opens hostile files and watches itself, in a folder of its own."""
    folder.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "audited.py", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_watch_notices_what_must_not_happen(tmp_path):
    found = " ".join(audited(tmp_path / "outer" / "inner", "--control"))
    for event in (
        *("os.system (b'true',)", "subprocess.Popen ('true'", "import of evil"),
        *("socket.connect", "open ('../outside', 'w'", "os.mkdir ('../outside too'"),
        "call of shutil.which",
    ):
        assert event in found
    assert "inside'" not in found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_no_hostile_file_does_harm(seed, tmp_path):
    found = audited(tmp_path / "outer" / "inner", "--cases", "150", "--seed", str(seed))
    assert found["harm"] == []
    assert found["cases"] == 150
    assert found["names"] > 5000
    refused = sum(number for end, number in found["ends"].items() if " refused" in end)
    assert refused > 150
    assert {end for end in found["ends"] if end.startswith("fit refused")} == {"fit refused 2"}


# The search path


SHADOW = 'open("pwned", "w").close()\nraise ImportError("shadowed")\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        [Path(sys.executable).with_name("lightning-gans")],
        [sys.executable, "-m", "lightning_gans"],
        [sys.executable, Path(__file__).parents[2] / "cli.py"],
    ],
)
def test_a_folder_with_modules_of_known_names_is_not_imported_from(start, honest, tmp_path):
    """A download may hold a torch.py beside its checkpoint."""
    folder = tmp_path / "download"
    folder.mkdir()
    for name in ("torch", "lightning", "yaml", "typing_extensions", "argparse", "difflib", "csv"):
        (folder / f"{name}.py").write_text(SHADOW)
    (folder / "datamodules").mkdir()
    (folder / "datamodules" / "__init__.py").write_text(SHADOW)
    command = [*start, "sample", "--ckpt_path", honest, "--n", "2", "--out", "out.npy"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (folder / MARK).exists()
    assert (folder / "out.npy").exists()


def test_classes_in_the_working_directory_are_found_last(tmp_path):
    before = list(sys.path)
    with pytest.raises(SystemExit):
        main(["list", "--no-such-flag"])
    main(["list"])
    assert sys.path[: len(before)] == before
    assert sys.path[len(before) :] in ([], [os.getcwd()])


def test_a_file_in_the_working_directory_is_not_read_for_a_word(tmp_path):
    """``auto`` is what the trainer's strategy and accelerator are by default."""
    for name in ("auto", "cpu", "ddp"):
        Path(name).write_text("class_path: evil.Net\n")
    main(["fit", *BRIEF, "--trainer.accelerator", "cpu", "--trainer.strategy", "auto"])
    assert (tmp_path / "runs" / "run" / "version_0" / "checkpoints" / "last.ckpt").exists()


def test_settings_in_a_file_of_the_users_are_read_by_its_ending():
    Path("net.yaml").write_text("class_path: MLPGenerator\ninit_args: {hidden: [3]}\n")
    main(["fit", *BRIEF, "--model.generator", "net.yaml"])
    assert load("runs/run/version_0/checkpoints/last.ckpt").generator.layers[0].out_features == 3


# Names and terminals


ESCAPES = "\x1b[31mred\x07\x9b31m\u202e"


@pytest.mark.parametrize(
    "name", ["../../outside", "/outside", "..", "a/b", "", ".", "a\nb", "a\x1b[31m", "a\x00b"]
)
def test_the_name_of_a_run_is_one(name, honest, capsys, tmp_path):
    state = read_checkpoint(honest)
    state["config"]["name"] = name
    torch.save(state, "bad.ckpt")
    before = sorted(tmp_path.rglob("*"))
    message = refused(capsys, "fit", "--ckpt_path", "bad.ckpt", "--trainer.max_steps", "4")
    assert "name: " in message
    if "\0" not in name and name:
        assert "name: it must be the name of a folder" in refused(capsys, "fit", "--name", name)
    assert sorted(tmp_path.rglob("*")) == before


def escaped(value):
    """Returns nested data with control characters in every key and every text."""
    if isinstance(value, dict):
        return {f"{k}{ESCAPES}" if isinstance(k, str) else k: escaped(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(part) for part in value]
    return f"{value}{ESCAPES}" if isinstance(value, str) else value


TEXTS = [
    *("lightning_gans/class_path", "lightning_gans/objects", "lightning_gans/version", "config"),
    *("config/name", "config/model/class_path", "config/model/init_args", "config/trainer"),
    *("config/data/init_args", "hyper_parameters", "hyper_parameters/generator", "state_dict"),
    *("optimizer_states", "callbacks", "loops", "lr_schedulers", "GaussianRing", "epoch"),
    *("pytorch-lightning_version", "config/checkpoint", "config/evaluation"),
]


@pytest.mark.parametrize(("place", "command"), each_with_each(TEXTS, COMMANDS))
def test_control_characters_of_a_file_never_reach_the_terminal(place, command, honest, capsys):
    state = read_checkpoint(honest)
    inner = state
    for key in place.split("/"):
        inner = inner[key]
    changed = ["x" + ESCAPES] if place.endswith("objects") else escaped(inner)
    set_in(state, place, changed)
    file = f"bad{ESCAPES}.ckpt"
    torch.save(state, file)
    said = ""
    try:
        load(file)
    except ValueError as error:
        said = str(error)
    assert said.replace(file, "").isprintable()
    more = ["--trainer.max_steps", "4"] if command in ("fit", "fork") else []
    with contextlib.suppress(SystemExit):
        main([command, "--ckpt_path", file, *more])
    printed = capsys.readouterr()
    shown = (printed.out + printed.err).replace("\n", "")
    assert not set("\x1b\x07\x9b\u202e") & set(shown), shown


def test_what_is_said_is_no_markup(capsys):
    say("[bold]runs[/bold] [/nothing] :smile: [link=http://example.org]x[/link]")
    assert capsys.readouterr().out == (
        "[bold]runs[/bold] [/nothing] :smile: [link=http://example.org]x[/link]\n"
    )


@pytest.mark.parametrize("name", ["[link=http://example.org]x[/link]", "[/b]"])
def test_the_name_of_a_score_is_no_markup(name, capsys, monkeypatch):
    fill("photos", 24, (8, 8))
    data = ("--data", "ImageFolder", "--data.path", "photos", "--data.image_size", "8")
    main([*("fit", "--name", "run", "--model", "GAN"), *data, *BRIEF[-4:]])
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    state = read_checkpoint("runs/run/version_0/checkpoints/last.ckpt")
    feature = {"class_path": "torch.nn.Flatten"}
    scores = {
        "class_path": "lightning_gans.metrics.FeatureScores",
        "init_args": {"name": name, "feature": feature},
    }
    set_in(state, "config/evaluation/metrics", [scores])
    torch.save(state, "bad.ckpt")
    main(["validate", "--ckpt_path", "bad.ckpt"])
    printed = capsys.readouterr().out
    assert f"fid_{name}" in printed
    assert "\x1b]8" not in printed


# Damage


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("lightning_gans/value_range", ("a", "b")),
        ("lightning_gans/value_range", (None, None)),
        ("lightning_gans/value_range", (float("nan"), float("nan"))),
        ("lightning_gans/value_range", (1e308, -1e308)),
        ("lightning_gans/images_seen", 10**400),
        ("lightning_gans/seed", -1),
        ("lightning_gans/seconds", (float("nan"), "1")),
        ("callbacks", 5),
        ("callbacks", {"GeneratorEMA": torch.ones(3)}),
        ("pytorch-lightning_version", "99.0\x0c\x85"),
        ("config/trainer/max_time", {"days": 10**30}),
        ("hyper_parameters/generator/init_args/activation", {"class_path": "torch.nn.Conv2d"}),
        (
            "hyper_parameters/generator/init_args/activation",
            {"class_path": "torch.nn.Softmax", "init_args": {"dim": 10**30}},
        ),
        (
            "hyper_parameters/generator/init_args/output",
            {"class_path": "torch.nn.Flatten", "init_args": {"start_dim": 0}},
        ),
    ],
)
def test_what_no_run_writes_is_refused(place, value, honest, capsys):
    state = read_checkpoint(honest)
    set_in(state, place, value)
    torch.save(state, "bad.ckpt")
    with contextlib.suppress(ValueError):
        load("bad.ckpt")
    if place.startswith(("config", "lightning_gans/seconds")):
        refused(capsys, "fit", "--ckpt_path", "bad.ckpt", "--trainer.max_steps", "4")
        return
    refused(capsys, "sample", "--ckpt_path", "bad.ckpt")


def test_a_state_of_callbacks_deletes_nothing_elsewhere(honest, tmp_path):
    """Lightning's own callback removes the checkpoint that is the best no more."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "mine").touch()
    run = tmp_path / "copy" / "version_0"
    shutil.copytree(honest.parents[1], run)
    last = run / "checkpoints" / "last.ckpt"
    state = read_checkpoint(last)
    saver = ModelCheckpoint(every_n_train_steps=1)
    outside = str(run / "checkpoints" / ".." / ".." / ".." / "victim")
    state["callbacks"][saver.state_key] = {"best_model_path": outside, "best_model_score": None}
    torch.save(state, last)
    flags = [
        "--trainer.callbacks+=ModelCheckpoint",
        "--trainer.callbacks.every_n_train_steps",
        "1",
    ]
    with pytest.warns(UserWarning, match="names files outside of the run. It is left out"):
        main(["fit", "--ckpt_path", str(last), "--trainer.max_steps", "4", *flags])
    assert (tmp_path / "victim" / "mine").exists()


def test_samples_are_not_written_through_a_link(honest, capsys, tmp_path):
    run = tmp_path / "copy" / "version_0"
    shutil.copytree(honest.parents[1], run)
    shutil.rmtree(run / "samples", ignore_errors=True)
    (tmp_path / "elsewhere").mkdir()
    (run / "samples").symlink_to(tmp_path / "elsewhere")
    assert "samples is a link" in refused(
        capsys, "predict", "--ckpt_path", run / "checkpoints" / "last.ckpt"
    )
    assert os.listdir(tmp_path / "elsewhere") == []


def deep(levels, kind):
    value = "end"
    for _ in range(levels):
        value = {"inner": value} if kind == "dict" else [value]
    return value


def endless(kind):
    if kind == "a list that holds itself":
        value = []
        value.append(value)
        return value
    value = ["end"]
    for _ in range(60):
        value = [value] * 10
    return value


PLACES = ["hyper_parameters/n_critic", "config/model", "config/trainer", "loops"]
NESTED = {
    "dicts": deep(1200, "dict"),
    "lists": deep(1200, "list"),
    "cycle": endless("a list that holds itself"),
    "laughs": endless("ten times the same, sixty levels deep"),
}


@pytest.mark.parametrize(("place", "what"), each_with_each(PLACES, NESTED))
def test_what_is_nested_without_end_is_refused(place, what, honest, capsys):
    state = read_checkpoint(honest)
    set_in(state, place, NESTED[what])
    sys.setrecursionlimit(20_000)
    try:
        torch.save(state, "bad.ckpt")
    finally:
        sys.setrecursionlimit(1000)
    with pytest.raises(ValueError, match=r"bad\.ckpt is (damaged|not a whole checkpoint)"):
        load("bad.ckpt")
    for command in ("fit", "sample", "validate"):
        refused(capsys, command, "--ckpt_path", "bad.ckpt")


@pytest.mark.parametrize("levels", [100, 1200, 200_000])
def test_a_header_that_is_nested_without_end_is_refused(levels, honest, capsys):
    main(["export", "--ckpt_path", str(honest), "--out", "good.safetensors"])
    capsys.readouterr()
    with safe_open("good.safetensors", "pt") as file:
        header = json.loads(file.metadata()["lightning_gans"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    text = json.dumps({**header, "hyper_parameters": "HERE"})
    text = text.replace('"HERE"', "[" * levels + "]" * levels)
    save_file(weights, "bad.safetensors", {"lightning_gans": text})
    with pytest.raises(ValueError, match=r"bad\.safetensors was not exported by lightning_gans"):
        load("bad.safetensors")
    refused(capsys, "sample", "--ckpt_path", "bad.safetensors")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", b'{"updates": ', "run.json is damaged"),
        ("run.json", b"[1, 2]", "run.json is damaged"),
        ("run.json", b"[" * 100_000, "run.json is damaged"),
        ("run.json", b'{"wall_time_s": "long"}', "run.json is damaged"),
        ("run.json", b'{"resumed_at": 3}', "run.json is damaged"),
        ("run.json", b'{"parent": 3}', "run.json is damaged"),
        ("run.json", b'{"parent": {"folder": [[3]]}}', "run.json is damaged"),
        ("run.json", b"\xff\xfe", "run.json is damaged"),
        ("metrics.csv", b"\xff\xfe\x00", "metrics.csv is damaged"),
        ("metrics.csv", b"step,train/loss_d\nx,1\n", "metrics.csv is damaged"),
        ("metrics.csv", b"train/loss_d\n1\n", "metrics.csv is damaged"),
        ("metrics.csv", b"step,train/loss_d\n1,yes\n", "metrics.csv is damaged"),
        ("wandb/id", b"a b\x1b", "id is damaged"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(name, content, message, honest, capsys, tmp_path):
    run = tmp_path / "copy" / "version_0"
    shutil.copytree(honest.parents[1], run)
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(content)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    more = ["--trainer.logger", "WandB"] if name == "wandb/id" else []
    arguments = ["--ckpt_path", run, "--trainer.max_steps", "4", *more]
    assert message in refused(capsys, "fit", *arguments)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["metrics.csv", "checkpoints", "run.json", "figures", "lock"])
def test_a_run_that_was_brought_along_leads_nowhere_else(name, honest, capsys, tmp_path):
    """As an archive may hold them: links to files that belong to somebody else."""
    run = tmp_path / "copy" / "version_0"
    shutil.copytree(honest.parents[1], run)
    elsewhere = tmp_path / "elsewhere"
    if (run / name).is_dir():
        (run / name).rename(elsewhere)
    else:
        elsewhere.write_text("mine")
        (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(elsewhere)
    before = sorted(tmp_path.rglob("*"))
    arguments = ["--ckpt_path", run / "checkpoints" / "last.ckpt", "--trainer.max_steps", "4"]
    if name == "checkpoints":  # are no longer those of the run, so that a new one begins
        states = {path: path.read_bytes() for path in elsewhere.iterdir()}
        main(["fit", *map(str, arguments)])
        assert {path: path.read_bytes() for path in elsewhere.iterdir()} == states
        assert (tmp_path / "runs" / "run" / "version_0" / "checkpoints" / "last.ckpt").exists()
        return
    message = refused(capsys, "fit", *arguments)
    assert f"{name} is a link that leads out of the run" in message
    assert sorted(tmp_path.rglob("*")) == before
    if elsewhere.is_file():
        assert elsewhere.read_text() == "mine"
