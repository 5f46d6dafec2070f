"""What differs between two run folders, and where their rows part."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lightning_gans.cli.main import main
from lightning_gans.comparison.differences import Difference, parting

CONFIG = {
    "seed_everything": 0,
    "name": "a",
    "model": {
        "class_path": "lightning_gans.GAN",
        "init_args": {
            "n_critic": 1,
            "regularizers": [],
            "generator": {
                "class_path": "lightning_gans.networks.MLPGenerator",
                "init_args": {"hidden": [64, 64]},
            },
        },
    },
    "trainer": {"max_steps": 20, "default_root_dir": "runs"},
}
RECORD = {
    "commit": f"{'a' * 40} with changes",
    "versions": {"torch": "2.9.0"},
    "machine": {"threads": 1},
    "processes": 1,
    "seed": 0,
    "wall_time_s": 1.5,
}
ROWS = """step,train/loss_d,train/updates_per_s,train/seconds,train/cpu_seconds,val/w1
10,0.5,100.0,0.1,0.1,
20,0.25,100.0,0.2,0.2,
20,,,,,1.5
"""


def make(name, config=CONFIG, record=RECORD, rows=ROWS):
    folder = Path("runs", name, "version_0")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "metrics.csv").write_text(rows)
    return folder


def changed(mapping, **values):
    """Returns nested settings with others in the place of some: dots are two underscores."""
    mapping = copy.deepcopy(mapping)
    for path, value in values.items():
        *keys, last = path.split("__")
        place = mapping
        for key in keys:
            place = place[key]
        place[last] = value
    return mapping


def diff(capsys, one="a", other="b"):
    """Returns the exit code and the lines that are printed, but for the two folders."""
    code = 0
    try:
        main(["diff", one, other])
    except SystemExit as done:
        code = done.code
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[:3] == ["1  runs/a/version_0", "2  runs/b/version_0", ""]
    assert printed.err == ""
    return code, [line for line in lines[3:] if line]


EQUAL = ["settings: equal", "commit, versions and machine: equal", "rows: equal at 2 updates"]


def test_runs_that_differ_in_names_and_times_are_equal(capsys):
    make("a")
    config = changed(CONFIG, name="b", trainer__default_root_dir="elsewhere")
    rows = ROWS.replace("100.0,0.1,0.1", "90.0,7.0,8.0")
    make("b", config, changed(RECORD, wall_time_s=9.0), rows)
    assert diff(capsys) == (0, EQUAL)


def test_settings_that_differ_are_shown_as_flags_have_them(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    make("a")
    r1 = {"class_path": "R1", "init_args": {"weight": 5.0}}
    config = changed(
        CONFIG,
        seed_everything=1,
        model__init_args__regularizers=[r1],
        model__init_args__generator__init_args__hidden=[8],
        model__init_args__n_critic=None,
    )
    make("b", config)
    code, lines = diff(capsys)
    assert code == 1
    assert lines[:-2] == [
        "settings                        1         2",
        "  seed_everything               0         1",
        "  model.n_critic                1         null",
        "  model.generator.hidden        [64, 64]  [8]",
        "  model.regularizers[0]         -         R1",
        "  model.regularizers[0].weight  -         5.0",
    ]
    assert lines[-2:] == EQUAL[1:]


def test_what_made_the_runs_is_shown_and_no_difference_by_itself(capsys):
    make("a")
    record = changed(RECORD, commit="b" * 40, versions__torch="2.8.0", machine__threads=2)
    make("b", record=record)
    code, lines = diff(capsys)
    assert code == 0
    assert lines == [
        EQUAL[0],
        "commit, versions and machine  1                        2",
        "  commit                      aaaaaaaaaa with changes  bbbbbbbbbb",
        "  versions.torch              2.9.0                    2.8.0",
        "  machine.threads             1                        2",
        EQUAL[2],
    ]


def test_a_difference_in_the_last_bit_is_found(capsys):
    make("a")
    make("b", rows=ROWS.replace("1.5", "1.5000000000000002"))
    code, lines = diff(capsys)
    assert code == 1
    assert lines[2:] == [
        "rows part at update 20  1    2",
        "  val/w1                1.5  1.5000000000000002",
    ]


@pytest.mark.parametrize("columns", [30, 40])
def test_on_a_narrow_terminal_values_stand_below_their_keys(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    make("a")
    config = changed(CONFIG, model__init_args__n_critic=5, seed_everything=7)
    words = " ".join(["words"] * 9)
    rows = ROWS.replace("0.25", "0.1234567890123456")
    make("b", config, changed(RECORD, machine__threads=words), rows)
    code, lines = diff(capsys)
    assert code == 1
    assert max(map(len, lines)) <= columns
    place = lines.index("  train/loss_d")
    assert lines[place + 1 :] == ["    1  0.25", "    2  0.1234567890123456"]
    assert " ".join(line.strip() for line in lines).count("words") == 9


def test_a_run_that_is_not_as_long_differs_at_its_end(capsys):
    make("a")
    make("b", rows="".join(ROWS.splitlines(keepends=True)[:2]))
    assert diff(capsys) == (
        1,
        [*EQUAL[:2], "rows: equal at 1 update; 1 ends at update 20, 2 at update 10"],
    )


def test_many_terms_are_not_all_shown(capsys):
    make(
        "a", rows="step,train/a,train/b,train/c,train/d,train/e,train/f,train/g\n1,0,0,0,0,0,0,0\n"
    )
    make(
        "b", rows="step,train/a,train/b,train/c,train/d,train/e,train/f,train/g\n1,1,1,1,1,1,1,1\n"
    )
    _, lines = diff(capsys)
    assert [line.split()[0] for line in lines[3:-1]] == [f"train/{name}" for name in "abcde"]
    assert lines[-1] == "  and 2 more"


def row(step, **values):
    return {"step": step, **{key.replace("_", "/", 1): value for key, value in values.items()}}


def test_rows_are_compared_where_both_runs_log_the_same_kind():
    nan = float("nan")
    one = [row(1, train_x=1.0), row(2, train_x=nan), row(2, val_y=5.0), row(4, train_x=2.0)]
    fork = [row(2, train_x=nan), row(3, train_x=9.0), row(4, val_y=1.0)]
    found = parting(one, fork)
    assert (found.same, found.update, found.ends) == (1, None, (4, 4))
    found = parting(one, [*fork, row(4, train_x=2.5, train_z=1.0)])
    assert (found.same, found.update) == (1, 4)
    assert found.terms == [
        Difference("train/x", "2.0", "2.5"),
        Difference("train/z", "-", "1.0"),
    ]


def test_a_run_may_be_named_in_every_way_that_a_checkpoint_may(capsys):
    make("a")
    folder = make("b")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.ckpt").touch()
    shutil.copytree(folder.parent, folder.parent / "version_1" / "not a run")
    shutil.copytree(folder, "copied")
    main(["diff", "runs/a", "copied"])  # which would end with exit code 1
    assert capsys.readouterr().out.splitlines()[1] == "2  copied"
    for other in ("b", "runs/b", "runs/b/version_0", "runs/b/version_0/checkpoints/best.ckpt"):
        assert diff(capsys, "a", other) == (0, EQUAL)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["diff", *arguments])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line.removeprefix("lightning-gans: error: ")


def test_what_is_no_run_is_named(capsys):
    make("ring")
    Path("other.ckpt").touch()
    for path, message in (
        ("rin", "There is no run folder at rin: did you mean ring?"),
        ("runs/rin", "There is no run folder at runs/rin: did you mean runs/ring?"),
        ("other.ckpt", "There is no run folder at other.ckpt."),
    ):
        assert refused(capsys, "ring", path) == message
    assert "RUN" in refused(capsys, "ring")
    assert "does not know" in refused(capsys, "ring", "ring", "ring")


NESTED = "[" * 100_000


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.yaml", "a: [", "config.yaml is damaged: while parsing"),
        ("config.yaml", "- 1", "config.yaml is damaged: it is"),
        ("config.yaml", "a: &x {b: *x}", "config.yaml is damaged: "),
        ("run.json", "{", "run.json is damaged: Expecting"),
        ("run.json", NESTED, "run.json is damaged: "),
        ("run.json", None, "version_0 is not the folder of a run: it has no run.json."),
        ("run.json", " " * 10_000_001, "run.json is damaged: it has more than 10,000,000 bytes."),
        ("metrics.csv", "step,train/x\n1,two\n", "metrics.csv is damaged: line 2 is not a row"),
        ("metrics.csv", b"\xff\n", "metrics.csv is damaged: 'utf-8' codec"),
    ],
)
def test_a_damaged_folder_is_named(file, content, message, capsys):
    make("a")
    path = make("b") / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refused(capsys, "a", "b")


def test_control_characters_do_not_reach_the_terminal(capsys):
    make("a")
    escape = "\x1b[31m"
    config = {**CONFIG, escape: escape}
    rows = ROWS.replace("val/w1", f"val/{escape}").replace("1.5", "2.5")
    make("b", config, changed(RECORD, commit=escape), rows)
    code, lines = diff(capsys)
    assert code == 1
    assert "\x1b" not in "".join(lines)
    assert "".join(lines).count("\\x1b[31m") == 4


WITHOUT_PYTORCH = """
import resource, sys
from lightning_gans.cli.main import main
main(["diff", "a", "b"])
assert "torch" not in sys.modules
assert resource.getrusage(resource.RUSAGE_SELF).ru_utime < 1
"""


def test_it_answers_at_once():
    rows = "".join(f"{n},{n / 7},{n / 9},{n / 11},{n / 13},\n" for n in range(21, 5000))
    for name in ("a", "b"):
        make(name, rows=ROWS + rows)
    command = [sys.executable, "-c", WITHOUT_PYTORCH]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("rows: equal at 4,981 updates\n")
