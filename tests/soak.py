"""Kills runs at random moments, and fuzzes and attacks files, for as long as it takes.

    python tests/soak.py --kills 20 --twice 10 --compared 20 --cases 10000 --hostile 2000

Each run is killed again and again (SIGKILL, the whole group of processes) and goes on from its
last checkpoint; what it ends with must be what the run ends with that nobody kills: weights,
states of the optimizers, average, log rows, samples, bit for bit. Runs differ in n_critic, in the
number of processes and in how often they validate and save; temporary files lie on another file
system where there is one. Some runs are killed and then resumed by two processes at once, of
which one is refused. A comparison of four configs with three seeds is killed, with its runs or
without, and comes to the same table. Every name of the trusted packages is tried in every setting
in every form, and hostile files are opened under watch. ``benchmarks/results/soak.json`` gets what
has been survived; a part whose number is 0 is left out, and keeps its result there.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import yaml
from attacks import OTHERS, SETTINGS, importable, passes
from attacks import cases as every_case
from fuzz import (
    changed_bytes,
    changed_entries,
    ends_of,
    opens_bytes,
    opens_entries,
    parses_or_refuses,
)
from hypothesis import strategies as st
from interrupted import assert_same, command, content, rows
from killed import assert_same_end, begun, ended, killed_again_and_again, started

from lightning_gans.cli.environment import code_version, machine, versions
from lightning_gans.core.checkpointing import read_checkpoint
from lightning_gans.core.trust import KINDS, Trust, known_classes

ROOT = Path(__file__).parents[1]
SCRIPT = Path(sys.executable).parent / "lightning-gans"
OTHER = Path("/dev/shm")
RUNS = [
    # n_critic, processes, updates between validations, between checkpoints
    (1, 1, 70, 30),
    (5, 1, 35, 35),
    (2, 2, 60, 25),
    (5, 2, 45, 90),
]
UPDATES = 600
COMPARISON = [
    *("gan_ring", "lsgan_ring", "minimax_gan_ring", "wgan_gp_ring_tuned", "--seeds", "0,1,2"),
    *("--set", "trainer.max_steps=300", "--set", "trainer.val_check_interval=100"),
    *("--set", "checkpoint.every_n_updates=50"),
]


def start(arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Starts a command in a group of processes of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if OTHER.is_dir():
        environment["TMPDIR"] = str(OTHER)
    return subprocess.Popen(
        [SCRIPT, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kills a group of processes; returns whether it was still there."""
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return alive


def updates(run: Path) -> int:
    path = run / "metrics.csv"
    found = path.read_text().splitlines()[-1:] if path.exists() else []
    return int(found[0].split(",")[0]) if found and found[0][:1].isdigit() else 0


def wait(process: subprocess.Popen[bytes], run: Path, moment: int, pause: float) -> None:
    """Waits for an update, and a little longer."""
    while process.poll() is None and updates(run) < moment:
        time.sleep(0.01)
    time.sleep(pause)


def samples(run: Path) -> bytes:
    out = run / "samples.npy"
    subprocess.run(
        [SCRIPT, "sample", "--ckpt_path", run / "checkpoints" / "last.ckpt", "--out", out],
        check=True,
        capture_output=True,
    )
    return out.read_bytes()


def killed(kills: int, seed: int) -> list[dict[str, object]]:
    """Kills each of the runs equally often and compares its end; returns what was survived."""
    chance = random.Random(seed)
    found: list[dict[str, object]] = []
    for n_critic, processes, validate_every, save_every in RUNS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run = command(n_critic, ["GaussianRing"], validate_every, save_every)
            run += ["--trainer.max_steps", str(UPDATES), "--trainer.accelerator", "cpu"]
            run += ["--trainer.devices", str(processes)]
            whole = start([*run, "--name", "whole"], folder)
            assert whole.wait() == 0, whole.stderr and whole.stderr.read().decode()
            survived, unloadable = 0, 0
            run_folder = folder / "runs" / "run" / "version_0"
            moments = sorted(
                chance.sample(range(save_every + 5, UPDATES - 20), kills // len(RUNS))
            )
            for moment in moments:
                process = start([*run, "--ckpt_path", "auto"], folder)
                wait(process, run_folder, moment, chance.uniform(0, 0.3))
                survived += kill(process)
                try:
                    torch.load(run_folder / "checkpoints" / "last.ckpt", weights_only=True)
                except Exception:
                    unloadable += 1
            process = start([*run, "--ckpt_path", "auto"], folder)
            assert process.wait() == 0, process.stderr and process.stderr.read().decode()
            compare(run_folder, folder / "runs" / "whole" / "version_0")
            found.append(
                {
                    "n_critic": n_critic,
                    "processes": processes,
                    "validate_every": validate_every,
                    "save_every": save_every,
                    "updates": UPDATES,
                    "kills": survived,
                    "unloadable": unloadable,
                    "resumed_at": json.loads((run_folder / "run.json").read_text())["resumed_at"],
                }
            )
            print(found[-1], flush=True)
    return found


def resumed_twice(times: int, seed: int) -> dict[str, int]:
    """Kills a run and lets two processes go on with it at once; returns how they ended."""
    chance = random.Random(seed)
    ends = {"one refused": 0, "one had nothing left": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = command(2, ["GaussianRing"], 60, 40, "--trainer.max_steps", str(UPDATES))
        whole = start([*run, "--name", "whole"], folder)
        assert whole.wait() == 0
        for number in range(times):
            run_folder = folder / "runs" / f"run{number}" / "version_0"
            process = start([*run, "--name", f"run{number}"], folder)
            wait(process, run_folder, chance.randrange(60, UPDATES - 60), chance.uniform(0, 0.3))
            kill(process)
            again = ["fit", "--name", f"run{number}", "--ckpt_path", "last"]
            first = start(again, folder)
            time.sleep(chance.choice([0, 0, 0.1, 0.5, 2]))
            codes = sorted(one.wait() for one in (first, start(again, folder)))
            assert codes in ([0, 0], [0, 2]), codes
            ends["one refused" if codes == [0, 2] else "one had nothing left"] += 1
            compare(run_folder, folder / "runs" / "whole" / "version_0")
    print("twice", ends, flush=True)
    return ends


def compared(kills: int, seed: int) -> dict[str, int]:
    """Kills a comparison again and again and compares its end; returns what was survived."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        whole, folder = Path(name, "whole"), Path(name, "killed")
        whole.mkdir()
        folder.mkdir()
        ended(started(COMPARISON, whole))
        pauses = [chance.uniform(2, 25) for _ in range(kills)]
        survived = killed_again_and_again(COMPARISON, folder, pauses, chance)
        assert_same_end(folder, whole)
        found = {"runs": 12, "kills": survived, "versions": len(begun(folder))}
    print("compared", found, flush=True)
    return found


def named() -> dict[str, int]:
    """Tries every name in every setting in every form; returns how many passed."""
    trust, hints = Trust(), {**SETTINGS, **OTHERS}
    known = {cls for kind in KINDS for cls in known_classes(kind)}
    found = {"names": len(importable()), "cases": 0, "passed": 0}
    for setting, path, form, value in every_case(seed=0, share=1.0):
        found["cases"] += 1
        if not passes(value, hints[setting], trust):
            continue
        if setting in SETTINGS:
            assert form in ("mapping", "dotted path"), (setting, path, form)
            assert importable()[path] in known, (setting, path, form)
            found["passed"] += 1
        else:  # inert text
            assert isinstance(value, str), (setting, path, form)
    print("named", found, flush=True)
    return found


def attacked(cases: int, seed: int) -> dict[str, object]:
    """Opens hostile files under watch; returns how that ended."""
    with tempfile.TemporaryDirectory() as name:
        inner = Path(name, "outer", "inner")
        inner.mkdir(parents=True)
        script = Path(__file__).with_name("audited.py")
        done = subprocess.run(
            [sys.executable, script, "--cases", str(cases), "--seed", str(seed)],
            cwd=inner,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=True,
            stdout=subprocess.PIPE,
        )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    assert found["harm"] == [], found["harm"]
    print("hostile", found, flush=True)
    return found


def compare(run: Path, whole: Path) -> None:
    """Checks that two runs have come to the same end."""
    assert rows(run) == rows(whole)
    for name in ("last", "best"):
        states = [content(folder / "checkpoints" / f"{name}.ckpt") for folder in (run, whole)]
        for state in states:
            state["config"].pop("name")
        assert_same(*states)
    assert samples(run) == samples(whole)
    assert sorted(os.listdir(run / "checkpoints")) == ["best.ckpt", "last.ckpt"]


def fuzzed(cases: int) -> dict[str, dict[str, int]]:
    """Opens changed files; returns how often they opened and were refused, by kind."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        run = command(1, ["GaussianRing"], 2, 2, "--trainer.max_steps", "2")
        subprocess.run([SCRIPT, *run], check=True, capture_output=True)
        good = Path("runs/run/version_0/checkpoints/last.ckpt")
        export = ["export", "--ckpt_path", good, "--out", "good.safetensors"]
        subprocess.run([SCRIPT, *export], check=True, capture_output=True)
        paths = sorted((ROOT / "configs").glob("*.yaml"))
        configs = [yaml.safe_load(path.read_text()) for path in paths]
        changed_configs = st.sampled_from(configs).flatmap(changed_entries).map(yaml.safe_dump)
        found = {}
        for kind, changed, act in (
            ("bytes", changed_bytes(good.read_bytes()), opens_bytes),
            ("export", changed_bytes(Path("good.safetensors").read_bytes()), opens_bytes),
            ("entries", changed_entries(read_checkpoint(good)), opens_entries),
            ("configuration", changed_configs, parses_or_refuses),
        ):
            found[kind] = dict(ends_of(cases // 4, changed, act, repeat=False))
            print(kind, found[kind], flush=True)
        os.chdir(ROOT)
    return found


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--twice", type=int, default=10, help="runs that two go on with")
    parser.add_argument("--compared", type=int, default=20, help="kills of a comparison")
    parser.add_argument("--cases", type=int, default=10_000, help="changed files")
    parser.add_argument("--hostile", type=int, default=2000, help="hostile files")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given_arguments = parser.parse_args()
    seed = given_arguments.seed
    parts: dict[str, Callable[[], object]] = {
        "named": named,
        "hostile": partial(attacked, given_arguments.hostile, seed + 100),
        "resumed_twice": partial(resumed_twice, given_arguments.twice, seed),
        "compared": partial(compared, given_arguments.compared, seed),
        "fuzzed": partial(fuzzed, given_arguments.cases),
        "kills": partial(killed, given_arguments.kills, seed),
    }
    numbers = given_arguments.hostile, given_arguments.hostile, given_arguments.twice
    numbers += given_arguments.compared, given_arguments.cases, given_arguments.kills
    path = ROOT / "benchmarks" / "results" / "soak.json"
    for (name, run), number in zip(parts.items(), numbers, strict=True):
        if number == 0:
            continue
        result = run()
        found = json.loads(path.read_text())
        found[name] = {
            "result": result,
            "seed": seed,
            "commit": code_version(),
            "versions": versions(),
            "machine": machine(torch.device("cpu")),
        }
        path.write_text(json.dumps(found, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()
