"""Where the runs of a comparison train: in processes on this machine, or in jobs on a cluster.

Each run is an ordinary ``fit`` command. Whoever starts one claims the run first, by a lock on a
file in its home that the process inherits: it holds until the process ends, even if that who
started it was killed before.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from lightning_gans.errors import InputError, RunError, one_line
from lightning_gans.holders import start_of

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "CLAIM",
    "LOG",
    "Engine",
    "Handle",
    "Job",
    "LocalEngine",
    "SubmititEngine",
    "is_claimed",
    "visible_gpus",
]

PROGRAM = (sys.executable, "-m", "lightning_gans")
"""What reads the command of a run."""
CLAIM = "claim"
"""File in a run's home that the process which trains it has locked."""
LOG = "log.txt"
"""File in a run's home that has what the run prints."""
JOBS = "slurm"
"""Folder in a run's home with the files of its jobs on a cluster."""
MINUTES = 60
"""Time of a job, if none is given."""
MOST_RETURNS = 1000
"""How often a job may return into the queue when its time is up."""
SLUMBER = 0.2
"""Seconds between two looks at the process of a job."""
GRACE = 120.0
"""Seconds that a job waits to be taken away after its run has been told to end."""


class Job(Protocol):
    """What an engine has to know of a run.

    Attributes:
        home: folder of the run's versions.
        threads: on the CPU, or None if the run or its environment decides.
    """

    home: Path
    threads: int | None

    @property
    def command(self) -> list[str]:
        """The arguments of ``lightning-gans``."""

    @property
    def devices(self) -> int | None:
        """Devices that the run trains on, or None if the user says which."""


class Handle(Protocol):
    """A run that has been started."""

    def poll(self) -> int | None:
        """Returns the exit code, or None as long as the run goes on."""

    def stop(self) -> None:
        """Lets the run end cleanly, with a checkpoint."""

    def kill(self) -> None:
        """Ends the run at once."""


class Engine(Protocol):
    """Starts runs.

    Attributes:
        outlives: whether runs go on after ``compare`` has been stopped.
    """

    outlives: bool

    def find(self, job: Job) -> Handle | None:
        """Returns a run that waits or trains since an earlier ``compare``, if that can be told."""

    def start(self, job: Job) -> Handle | None:
        """Starts a run; returns None if it is another process's by now."""


@contextmanager
def _claimed(home: Path) -> Iterator[int | None]:
    """Claims a run; gives the file that a process has to inherit, or None if there is a claim."""
    home.mkdir(parents=True, exist_ok=True)
    file = os.open(home / CLAIM, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield None if _is_locked(file, exclusive=True) else file
    finally:
        os.close(file)


def is_claimed(home: Path) -> bool:
    """Tells whether a process trains a run, or is about to."""
    try:
        file = os.open(home / CLAIM, os.O_RDONLY)
    except OSError:
        return False
    try:
        return _is_locked(file, exclusive=False)
    finally:
        os.close(file)


def _is_locked(file: int, *, exclusive: bool) -> bool:
    """Tells whether another process has locked a file; this one has, from now on, if not."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks; the lock of the run's folder remains
        pass
    return False


def begin(
    home: Path, command: Sequence[str], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes] | None":
    """Starts the process of a run, in a group of its own; None if another process has the run.

    Args:
        home: of the run.
        command: with the program.
        environment: of the process, beside that of this one.
    """
    with _claimed(home) as claim:
        if claim is None:
            return None
        with (home / LOG).open("ab") as log:
            return subprocess.Popen(
                command,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C reaches this process only
                pass_fds=() if fcntl is None else (claim,),
            )


def visible_gpus() -> list[str]:
    """Returns what ``CUDA_VISIBLE_DEVICES`` calls the GPUs that this process may use."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
        gpus = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
        return [str(number) for number in range(len(gpus))]
    return []


class LocalEngine:
    """Trains in processes on this machine, which share its GPUs.

    Args:
        gpus: as `visible_gpus` gives them.
    """

    outlives = False

    def __init__(self, gpus: Sequence[str] = ()) -> None:
        self._gpus = list(gpus)
        self._used: Counter[str] = Counter()

    def find(self, job: Job) -> Handle | None:
        """Returns None: the claim tells what an earlier process has started."""
        return None

    def start(self, job: Job) -> Handle | None:
        """Starts a run on the GPUs with the fewest others; None if another process has it."""
        environment = {}
        if job.threads is not None:
            environment["OMP_NUM_THREADS"] = str(job.threads)
        gpus: list[str] = []
        if job.devices is not None:
            gpus = sorted(self._gpus, key=self._used.__getitem__)[: job.devices]
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        process = begin(job.home, [*PROGRAM, *job.command], environment)
        if process is None:
            return None
        self._used.update(gpus)
        return _Process(process, partial(self._used.subtract, gpus))


class _Process:
    """A run in a process on this machine.

    Args:
        process: of the run, with a group of its own.
        freed: called once it has ended.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", freed: Callable[[], object]) -> None:
        self._process = process
        self._freed: Callable[[], object] | None = freed

    def poll(self) -> int | None:
        code = self._process.poll()
        if code is not None and self._freed is not None:
            self._freed()
            self._freed = None
        return code

    def stop(self) -> None:
        # Not Ctrl-C's signal, which a shell may have told this process and its own to ignore.
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        if self._process.poll() is not None:
            return
        if not hasattr(os, "killpg"):  # on Windows
            self._process.terminate()
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)  # a run may have processes of its own


class SubmititEngine:
    """Trains in jobs of a cluster, which wait in the queue again when their time is up.

    Args:
        cluster: "slurm", or "local" for jobs on this machine as tests need them.
        parameters: of the jobs, by the names that submitit's executor has for them.

    Raises:
        InputError: if submitit or the cluster is not there, or a parameter is unknown.
    """

    outlives = True

    def __init__(self, cluster: str, parameters: Mapping[str, Any]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise InputError(
                "engine: slurm needs the package submitit. Use pip install submitit."
            ) from error
        executors = {"slurm": submitit.SlurmExecutor, "local": submitit.LocalExecutor}
        self._executor = executors[cluster]
        self._parameters = dict(parameters)
        if cluster == "slurm" and shutil.which("sbatch") is None:
            raise InputError("engine: there is no SLURM on this machine: sbatch is not found.")
        if cluster == "slurm":
            self._parameters = {"time": MINUTES, **parameters}
            if type(self._parameters["time"]) is not int:
                raise InputError(
                    f"slurm: time must be in minutes, such as 240, got {self._parameters['time']}."
                )
        try:
            self._made(Path())
        except ValueError as error:
            raise InputError(f"slurm: {str(error).splitlines()[0]}") from error

    def _made(self, home: Path) -> Any:
        executor = self._executor(home / JOBS, max_num_timeout=MOST_RETURNS)
        executor.update_parameters(**self._parameters)
        return executor

    def find(self, job: Job) -> Handle | None:
        """Returns the run's job if it is in the queue, or trains."""
        ending = "_submitted.pkl"
        found = sorted((job.home / JOBS).glob(f"*{ending}"), key=lambda path: path.stat().st_mtime)
        for path in found[-1:]:
            number = path.name.removesuffix(ending)
            submitted = self._executor.job_class(job.home / JOBS, number)
            if not submitted.done():
                return _Submitted(submitted)
        return None

    def start(self, job: Job) -> Handle | None:
        """Puts a run into the queue."""
        try:
            return _Submitted(self._made(job.home).submit(_Training(job)))
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            raise RunError(f"slurm: {one_line(str(error))}") from error


class _Submitted:
    """A run in a job of a cluster."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def poll(self) -> int | None:
        if not self._job.done():
            return None
        if not self._job.paths.result_pickle.exists():
            return 1  # cancelled, or its machine failed
        error = self._job.exception()
        return 1 if error is not None else int(self._job.result())

    def stop(self) -> None:
        self._job.cancel(check=False)

    kill = stop


class _Training:
    """Trains a run in a job: submitit calls it there, and asks it for what is to be done later.

    Args:
        job: the run.
    """

    def __init__(self, job: Job) -> None:
        self._home = job.home.absolute()
        self._command = [*PROGRAM, *job.command]
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Trains, and returns the exit code."""
        # A cluster sends the signal before the end of time to all processes of a job. It is for
        # this one, which lets the other end.
        number = signal.SIGUSR2
        handler = signal.signal(number, signal.SIG_IGN)
        self._process = begin(self._home, self._command, {})
        signal.signal(number, handler)
        if self._process is None:
            return 0  # another job has it
        # Not by waiting, during which `checkpoint` could not wait for the process, too.
        while start_of(self._process.pid) is not None:
            time.sleep(SLUMBER)
        code = self._process.wait()
        if code == 128 + signal.SIGTERM:
            time.sleep(GRACE)  # the job is about to be taken away, and put into the queue again
        return code

    def checkpoint(self) -> Any:
        """Lets the run end with a checkpoint, and returns what resumes it."""
        import submitit

        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            while start_of(process.pid) is not None:
                time.sleep(SLUMBER)
        return submitit.helpers.DelayedSubmission(self)
