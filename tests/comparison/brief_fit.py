"""Stands in for ``lightning-gans fit``: leaves the same files behind, and takes no time to start.

It resumes from ``checkpoints/last.ckpt``, which holds a number, and ends on SIGTERM as runs do.
What else it does is in the file ``brief.json`` of the working directory, by the run's seed: it may
take ``seconds`` for an update, ``diverge`` at an update, or be ``refused`` with a message.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

import yaml

from lightning_gans.cli.locks import RunLock
from lightning_gans.files import replacing
from lightning_gans.finding import newest_first

SAVE_EVERY = 5


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag in ("config", "name", "seed_everything", "trainer.default_root_dir", "ckpt_path"):
        parser.add_argument(f"--{flag}", dest=flag.rpartition(".")[2])
    parser.add_argument("--trainer.max_steps", dest="max_steps", type=int)
    asked, _ = parser.parse_known_args(sys.argv[2:])
    seed = int(asked.seed_everything)
    told = json.loads(Path("brief.json").read_text()) if Path("brief.json").exists() else {}
    told = told.get(str(seed), {})
    if "refused" in told:
        print(f"lightning-gans: error: {told['refused']}", file=sys.stderr)
        sys.exit(2)
    home = Path(asked.default_root_dir, asked.name)
    folders = newest_first(home)
    last = folders[0] / "checkpoints" / "last.ckpt" if folders else None
    if last is not None and last.exists():
        folder, update = folders[0], int(last.read_text())
    else:
        folder, update = home / f"version_{len(folders)}", 0
        (folder / "checkpoints").mkdir(parents=True)
    lock = RunLock(folder)
    lock.acquire()
    train(folder, seed, asked.max_steps, update, told)
    lock.release()


def train(folder: Path, seed: int, limit: int, update: int, told: dict) -> None:
    path = folder / "run.json"
    resumed = [*json.loads(path.read_text())["resumed_at"], update] if update else []
    record = {"status": "running", "seed": seed, "updates": update, "resumed_at": resumed}
    config = yaml.safe_load(Path("config.yaml").read_text())
    config["trainer"]["max_steps"] = limit
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))

    def write(status: str, *, saves: bool = True) -> None:
        if saves:
            with replacing(folder / "checkpoints" / "last.ckpt") as file:
                file.write(str(update).encode())
        with replacing(path) as file:
            file.write(json.dumps({**record, "status": status, "updates": update}).encode())

    rows = folder / "metrics.csv"
    kept = rows.read_text().splitlines() if rows.exists() else ["step,train/loss_d"]
    kept = [kept[0], *(row for row in kept[1:] if int(row.split(",")[0]) <= update)]
    rows.write_text("".join(f"{row}\n" for row in kept))
    write("running", saves=False)
    while update < limit:
        time.sleep(told.get("seconds", 0.0))
        update += 1
        with rows.open("a") as file:
            file.write(f"{update},{seed + update / 100}\n")
        if update == told.get("diverge"):
            write("stopped: DivergenceError: the loss is not finite", saves=False)
            print("lightning-gans: error: the loss is not finite", file=sys.stderr)
            sys.exit(1)
        if ended:
            write("stopped: SIGTERM")
            sys.exit(128 + ended[0])
        if update % SAVE_EVERY == 0:
            write("running")
    write("finished")


if __name__ == "__main__":
    main()
