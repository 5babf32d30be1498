"""The worker processes of fairseq-preprocess neither outlive a recipe nor vanish unnoticed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recipes import PREPARE, run_local, write

FAIRSEQ = """
import multiprocessing, os, time

def work(number):
    open(f"{os.getpid()}.worker", "w").close()
    while True:
        open("growing", "a").write("x")
        time.sleep(0.01)

def cli_main():
    open(f"{os.getpid()}.main", "w").close()
    with multiprocessing.Pool(2) as pool:
        pool.map(work, range(2))
"""


def wait_until(holds, seconds=60):
    deadline = time.time() + seconds
    while not holds():
        assert time.time() < deadline
        time.sleep(0.02)


def workers(folder):
    return [int(path.stem) for path in folder.glob("data/.x.*.partial/*.worker")]


def processes(folder):
    return [*workers(folder), *(int(path.stem) for path in folder.glob("data/.x.*.partial/*.main"))]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def none_is_alive(pids):
    wait_until(lambda: not any(map(is_alive, pids)), seconds=5)


@pytest.fixture
def endless(tmp_path):
    """Start `fairseq-dsl prepare` with a fairseq-preprocess whose two workers write for ever."""
    write(tmp_path / "fake" / "fairseq_cli" / "__init__.py", [])
    write(tmp_path / "fake" / "fairseq_cli" / "preprocess.py", [FAIRSEQ])
    started = []

    def start():
        command = [*PREPARE, "-s", "de", "-t", "en", "--raw", tmp_path / "raw"]
        started.append(
            subprocess.Popen(
                [*command, "--out", "data/x", "--vocab-size", "100"],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(tmp_path / "fake")},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                # as a terminal starts it: a test run in the background ignores the signal, and so would its children
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        wait_until(lambda: len(processes(tmp_path)) == 3)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="processes die with their parent on Linux only")


@linux_only
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_a_killed_run_lives_on(raw, tmp_path, endless, signal_):
    running = endless()
    pids = processes(tmp_path)
    os.kill(running.pid, signal_)
    running.wait()
    none_is_alive(pids)
    assert [path.suffix for path in sorted((tmp_path / "data").iterdir())] == [
        ".partial",
        ".lock",
    ]  # what is left of it
    done = run_local(tmp_path, "--raw", raw, "--out", "data/x", "--vocab-size", "10")
    assert "--vocab-size 10" in done.stderr
    assert not list((tmp_path / "data").iterdir())


def test_a_live_run_is_not_disturbed(raw, tmp_path, endless):
    running = endless()
    before = sorted(path.name for path in (tmp_path / "data").iterdir())
    second = run_local(tmp_path, "--raw", raw, "--out", "data/x", "--vocab-size", "100")
    assert (
        second.returncode == 1
        and second.stderr == "fairseq-dsl prepare: error: another run is preparing data/x: wait for it to end\n"
    )
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before and running.poll() is None


@linux_only
def test_an_interrupted_run_clears_up(raw, tmp_path, endless):
    running = endless()
    pids = processes(tmp_path)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(20) == 130 and running.stderr.read() == "interrupted; run the same command again\n"
    none_is_alive(pids)


@linux_only
@pytest.mark.parametrize("signal_, cause", [
    (signal.SIGKILL, "signal 9: if memory ran out, give fewer --workers"),
    (signal.SIGSEGV, "signal 11"),
])  # fmt: skip
def test_a_killed_worker_ends_the_recipe(raw, tmp_path, endless, signal_, cause):
    running = endless()
    pids = processes(tmp_path)
    os.kill(workers(tmp_path)[0], signal_)
    assert running.wait(20) == 1
    message = f"fairseq-preprocess ended with exit code 1: a worker process ended with {cause}"
    assert running.stderr.read() == f"fairseq-dsl prepare: error: {message}\n"
    none_is_alive(pids)
    assert not list((tmp_path / "data").iterdir())
