"""Opens hostile files under watch, and reports what was done that no file may bring about.

    python tests/audited.py --cases 300 --seed 0

Each case is a checkpoint or an export in which one setting names something it should not: any
function or class of the trusted packages or one that does harm, as a mapping or as text. It goes
through `load` or one of the commands, in this process, which watches itself: imports of what the
file names, other programs, connections and files outside of this folder through Python's audit
hooks, and calls of what the file names through its profiler, since audit hooks do not see those.
Prints one line of JSON.
"""

import argparse
import base64
import contextlib
import copy
import io
import json
import os
import random
import shutil
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

EVIL = """open("pwned", "w").close()
from torch import nn
class Net(nn.Module): pass
def run(*arguments, **keywords): open("pwned", "w").close()
"""
SHELL = {"class_path": "os.system"}
ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"command": "touch pwned"},
    {"args": ["touch", "pwned"]},
    {"source": "open('pwned', 'w')"},
    {"dirpath": "../pwned", "save_dir": "../pwned", "path": "../pwned"},
]
HARMFUL: dict[str, dict[str, Any]] = {
    "os.system": {"command": "touch pwned"},
    "os.getcwd": {},
    "os.remove": {"path": "fair.ckpt"},
    "subprocess.Popen": {"args": ["touch", "pwned"]},
    "subprocess.getoutput": {"cmd": "touch pwned"},
    "builtins.exec": {"source": "open('pwned', 'w')"},
    "builtins.open": {"file": "pwned", "mode": "w"},
    "shutil.rmtree": {"path": "runs"},
    "importlib.import_module": {"name": "evil"},
    "runpy.run_path": {"path_name": "evil.py"},
    "webbrowser.open": {"url": "http://127.0.0.1"},
    "logging.FileHandler": {"filename": "../pwned", "mode": "w"},
    "torch.load": {"f": "fair.ckpt"},
    "torch.hub.load": {"repo_or_dir": ".", "model": "evil", "source": "local"},
    "evil.Net": {},
    "evil.run": {},
    "antigravity.geohash": {},
    "this.s": {},
    "lightning.pytorch.cli.instantiate_class": {"args": "touch pwned", "init": SHELL},
    "lightning.pytorch.core.saving._load_from_checkpoint": {
        "cls": "lightning.pytorch.LightningModule",
        "checkpoint_path": "fair.ckpt",
        "weights_only": False,
    },
    "lightning.pytorch.callbacks.LambdaCallback": {"setup": "os.getcwd", "on_fit_start": "evil"},
    "lightning.pytorch.callbacks.ModelCheckpoint": {"dirpath": "../pwned"},
    "lightning.pytorch.loggers.CSVLogger": {"save_dir": "../pwned"},
    "lightning.pytorch.profilers.SimpleProfiler": {"dirpath": "../pwned", "filename": "x"},
    "lightning_gans.cli.modules.import_modules": {"names": ["evil"]},
    "lightning_gans.cli.main.main": {"arguments": ["list"]},
    "lightning_gans.metrics.digits.digit_judge": {},
    "torch.fx.graph_module.reduce_graph_module": {
        "import_block": "import os; os.system('touch pwned')",
        "body": {"_code": "forward=lambda self,x:x"},
    },
}
"""Names that do harm, with what they need for that."""
CONSTRUCTOR = [
    *("generator", "discriminator", "prior", "optimizer_g", "optimizer_d", "scheduler"),
    *(
        "regularizers",
        "loss",
        "data_shape",
        "n_critic",
        "compile",
        "generator/init_args/activation",
    ),
    *("generator/init_args/output", "discriminator/init_args/normalization"),
    *("generator/init_args/hidden", "optimizer_g/init_args/lr", "no_such_argument"),
]
FACTORIES = ("scheduler", "optimizer_g", "optimizer_d", "generator", "discriminator")
PLACES = [
    *(
        f"{of}/{name}"
        for of in ("hyper_parameters", "config/model/init_args")
        for name in FACTORIES
    ),
    *(f"hyper_parameters/{name}" for name in CONSTRUCTOR),
    *(f"config/model/init_args/{name}" for name in CONSTRUCTOR),
    *("config/model", "config/data", "config/data/init_args/num_modes", "config/name"),
    *("config/trainer/callbacks", "config/trainer/logger", "config/trainer/strategy"),
    *("config/trainer/plugins", "config/trainer/profiler", "config/trainer/accelerator"),
    *("config/trainer/default_root_dir", "config/trainer/model_registry"),
    *("config/evaluation/metrics", "config/checkpoint/dirpath", "config/checkpoint/monitor"),
    *(f"{of}/scheduler.class_path" for of in ("hyper_parameters", "config/model/init_args")),
    *("config/model/init_args/generator.init_args.activation", "config/model.class_path"),
    *(f"{of}/prior" for of in ("hyper_parameters", "config/model/init_args")),
    *("config/progress", "config/no_such_section", "config/seed_everything"),
    *("lightning_gans/class_path", "config/model/class_path", "config/data/class_path"),
]
ALWAYS_READ = ("config/model", "config/data", "config/evaluation", "config/trainer/callbacks")
"""Places that commands read which do not train."""
RUN = [
    *("--name", "run", "--model", "WGANGP", "--data", "GaussianRing"),
    *("--data.num_eval_samples", "16", "--data.batch_size", "4", "--data.num_modes", "2"),
    *("--trainer.max_steps", "1", "--pictures.enabled", "false", "--model.generator.hidden"),
    *("[4]", "--model.discriminator.hidden", "[4]"),
]
PROGRAMS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"}
PROGRAMS |= {"pty.spawn", "subprocess.Popen", "webbrowser.open", "ctypes.dlopen"}
CONNECTIONS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod"}


class Watch:
    """Notes what must not happen while it is on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.on = False
        self.roots: set[str] = set()
        self.named: dict[Any, str] = {}
        self.called: set[Any] | None = None
        self.found: list[str] = []
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "import" and str(arguments[0]).partition(".")[0] in self.roots:
            self.found.append(f"import {arguments[0]}")
        elif event in CONNECTIONS or (event in PROGRAMS and not _is_usual(arguments)):
            self.found.append(f"{event} {arguments}")
        elif event == "open" and _writes(arguments) and self._outside(arguments[0]):
            self.found.append(f"open {arguments}")
        elif event in CHANGES and self._outside(arguments[0]):
            self.found.append(f"{event} {arguments}")

    def _outside(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a descriptor: opening it has been seen
        place = Path(os.path.abspath(os.fsdecode(path)))
        return place != Path(os.devnull) and self.folder not in (place, *place.parents)

    def _profiler(self) -> Any:
        """Returns what is called for every call; that has to be quick."""
        if self.called is not None:
            note = self.called.add
            return lambda frame, event, argument: note(
                frame.f_code if event == "call" else _key(argument) if event == "c_call" else None
            )
        codes, names = self.named, {key for key in self.named if isinstance(key, str)}

        def look(frame: Any, event: str, argument: Any) -> None:
            if event == "call":
                if frame.f_code in codes:
                    self.found.append(f"call of {codes[frame.f_code]}")
            elif event == "c_call" and names and _key(argument) in names:
                if frame.f_code.co_filename.endswith("jsonargparse/_postponed_annotations.py"):
                    return  # runs the imports for types of an installed module
                self.found.append(f"call of {codes[_key(argument)]}")

        return look if self.named else None

    @contextlib.contextmanager
    def watching(self) -> Any:
        """Watches what is done inside."""
        before = set(sys.modules)
        profiler = self._profiler()
        threading.setprofile(profiler)
        sys.setprofile(profiler)
        self.on = True
        try:
            yield
        finally:
            self.on = False
            sys.setprofile(None)
            threading.setprofile(None)
            # importlib.import_module is no event.
            new = (name for name in set(sys.modules) - before)
            self.found += [f"import of {n}" for n in new if n.partition(".")[0] in self.roots]


def _key(called: Any) -> str:
    """Returns what a built-in function is known by: a bound method is made anew for each call."""
    return str(getattr(called, "__qualname__", called))


def _is_usual(arguments: tuple[Any, ...]) -> bool:
    """Tells whether it is git that is asked for the commit, or a driver that is looked for.

    Or Python for its search path, by the library that finds the types of PyTorch's arguments.
    """
    if "import sys, json; print(json.dumps(sys.path))" in str(arguments[1:2]):
        return True
    name = Path(arguments[0]).name if isinstance(arguments[0], str) else ""
    return name == "git" or name.startswith("libnvidia-ml.so")


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    by_mode = isinstance(mode, str) and any(letter in mode for letter in "wax+")
    return by_mode or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def codes_of(named: Any) -> list[Any]:
    """Returns what the profiler sees if something is called."""
    if isinstance(named, type):
        made = (vars(named).get(name) for name in ("__init__", "__new__"))
        return [code for method in made if method for code in codes_of(method)]
    code = getattr(named, "__code__", None)
    return [_key(named) if code is None else code]


def find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def as_address(value: Any) -> str:
    """Returns settings as an address that holds them, which Lightning would read."""
    return "data://x;base64," + base64.b64encode(json.dumps(value).encode()).decode()


def as_odd_text(value: Any) -> str:
    """Returns settings as text that PyYAML cannot read, for its date, but other readers can."""
    return f"{json.dumps(value)[:-1]}, x: 2020-99-99}}"


def as_file(value: Any) -> str:
    """Returns the name of a file of settings in the working directory; another is ``auto``."""
    Path("auto").write_text(json.dumps(value))
    Path("settings.yaml").write_text(json.dumps(value))
    return "auto" if len(json.dumps(value)) % 2 else "settings.yaml"


def quietly(act: Any, *arguments: Any) -> str:
    """Does something, and returns what came of it."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            act(*arguments)
        except SystemExit as end:
            return "done" if not end.code else f"refused {end.code}"
        except ValueError:
            return "refused"
    return "done"


def commands(path: str) -> list[list[str]]:
    """Returns the commands that open a file."""
    every = [
        ["sample", "--ckpt_path", path, "--n", "2", "--out", "out.npy"],
        ["interpolate", "--ckpt_path", path, "--n", "1", "--steps", "2", "--out", "out.gif"],
        ["export", "--ckpt_path", path, "--out", "out.safetensors"],
    ]
    if path.endswith(".safetensors"):
        return every
    fit = ["fit", "--ckpt_path", path, "--trainer.max_steps", "2"]
    evaluate = ["evaluate", "--ckpt_path", path, "--out", "out.json"]
    return [*every, fit, ["validate", "--ckpt_path", path], evaluate]


def set_in(state: Any, place: str, value: Any) -> bool:
    """Puts a value into nested mappings, if they are there."""
    *path, last = place.split("/")
    for key in path:
        if not isinstance(state, dict) or not isinstance(state.get(key), dict):
            return False
        state = state[key]
    state[last] = value
    return True


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", action="store_true", help="do what must be noticed")
    given = parser.parse_args()
    folder = Path.cwd()
    os.environ["TMPDIR"] = str(folder / "tmp")
    (folder / "tmp").mkdir()
    Path("evil.py").write_text(EVIL)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True

    import torch
    import yaml
    from attacks import forms, importable

    from lightning_gans import load
    from lightning_gans.cli.main import main as run
    from lightning_gans.core.checkpointing import read_checkpoint
    from lightning_gans.core.exports import export_bytes, read_export

    assert quietly(run, ["fit", *RUN]) == "done"
    good = "runs/run/version_0/checkpoints/last.ckpt"
    assert quietly(run, ["export", "--ckpt_path", good, "--out", "good.safetensors"]) == "done"
    names = sorted(importable())
    watch = Watch(folder)
    if given.control:
        print(json.dumps(control(watch)))
        return

    # What honest files bring about, and one with a slip that is refused; twice, since the first
    # time imports what is needed.
    Path("fair.ckpt").write_bytes(Path(good).read_bytes())
    slip = read_checkpoint(good)
    slip["config"]["model"]["init_args"]["n_critic"] = -1
    torch.save(slip, "slip.ckpt")
    usual: set[Any] = set()
    for watch.called in (None, usual):
        watch.found.clear()
        with watch.watching():
            quietly(load, "good.safetensors")
            for command in commands("fair.ckpt"):
                assert quietly(run, command) == "done", command
            *_, refused, _, _ = commands("slip.ckpt")
            assert quietly(run, refused) == "refused 2"
    assert not watch.found, watch.found
    watch.called = None
    unusual = [name for name in names if not usual.intersection(codes_of(find(name)))]

    state, export = read_checkpoint(good), read_export("good.safetensors")
    weights = export.pop("state_dict")
    chance = random.Random(given.seed)
    ends: Counter[str] = Counter()
    harm, case = [], 0
    while case < given.cases:
        name = chance.choice([*HARMFUL] if chance.random() < 0.7 else unusual)
        form = chance.choice(
            [
                "mapping",
                "mapping",
                "JSON",
                "YAML",
                "dotted path",
                "odd",
                "address",
                "file",
                "unnamed",
            ]
        )
        value: Any = forms(name).get(form)
        if form != "dotted path":
            value = {
                "class_path": name,
                "init_args": HARMFUL[name] if name in HARMFUL else chance.choice(ARGUMENTS),
            }
            value = {
                "JSON": json.dumps,
                "YAML": yaml.safe_dump,
                "odd": as_odd_text,
                "address": as_address,
                "file": as_file,
            }.get(form, copy.deepcopy)(value)
        if form == "unnamed":  # settings of the class that stands there by default
            value = chance.choice([name, value, as_address(value), as_file(value)])
            inner = {chance.choice(["activation", "output", "normalization"]): value}
            value = chance.choice(
                [
                    inner,
                    {"init_args": inner},
                    {"dict_kwargs": inner},
                    {"class_path": "torch.nn.ModuleDict", "init_args": {"modules": inner}},
                    {"class_path": "torch.nn.ParameterDict", "init_args": {"parameters": value}},
                    {"class_path": "torch.nn.Transformer", "init_args": {"custom_encoder": value}},
                ]
            )
        place = chance.choice(PLACES)
        about_run = place.startswith("config/")  # which only some commands read
        about_training = about_run and not place.startswith(ALWAYS_READ)
        if place.endswith(("callbacks", "metrics", "regularizers")) and chance.random() < 0.7:
            value = [value]
        exported = not about_run and chance.random() < 0.5
        changed = copy.deepcopy(export if exported else state)
        if not set_in(changed, place, value):
            continue
        case += 1
        path = "bad.safetensors" if exported else "bad.ckpt"
        if exported:
            Path(path).write_bytes(export_bytes(weights, changed))
        else:
            torch.save(changed, path)
        named = find(name)
        watch.roots = {name.partition(".")[0]} - {"lightning_gans", "datamodules", "torch"}
        watch.roots -= {"torchmetrics", "lightning", "logging", "builtins", "os", "subprocess"}
        codes = codes_of(named) if callable(named) else []
        watch.named = {code: name for code in codes if code not in usual}
        watch.found.clear()
        with watch.watching():
            found = [] if about_run else [("load", quietly(load, path))]
            opening = commands(path)[3:] if about_run else commands(path)[:3]
            command = opening[0] if about_training else chance.choice(opening)
            found.append((command[0], quietly(run, command)))
        ends.update(f"{act} {end}" for act, end in found)
        left = [*folder.rglob("pwned"), *folder.parent.glob("pwned")]
        if watch.found or left:
            harm.append([place, name, form, found, [*watch.found[:3], *map(str, left)]])
        for path_left in left:
            shutil.rmtree(path_left) if path_left.is_dir() else path_left.unlink()
    print(json.dumps({"cases": case, "ends": ends, "harm": harm, "names": len(unusual)}))


def control(watch: Watch) -> list[str]:
    """Does what must be noticed, one after the other, and returns what was."""
    import importlib
    import socket
    import subprocess

    watch.roots = {"evil"}
    watch.named = {code: "shutil.which" for code in codes_of(shutil.which)}
    with watch.watching():
        os.system("true")
        subprocess.run(["true"], check=True)
        importlib.import_module("evil")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        with open("../outside", "w"):
            pass
        os.mkdir("../outside too")
        shutil.which("true")
        with open("inside", "w"):
            pass
    return watch.found


if __name__ == "__main__":
    main()
