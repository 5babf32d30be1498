"""Processes of the scripts end with the script that started them, even where that is killed."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHILDREN = str(ROOT / "fairseq_dsl_cli" / "children.py")
# writes its process number where it is told to, and goes on
LONG = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}\\n'); time.sleep(60)"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")


def runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def number(path):
    """The process number in a file, once it is there."""
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def bash(script, *arguments):
    return subprocess.Popen(["bash", "-c", script, "test", *map(str, arguments)])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    "line", ['{python} {children} $$ {long} "$1"; true', 'X=$(exec {python} {children} $$ {long} "$1")']
)
def test_a_bound_command_ends_with_its_shell_script(tmp_path, line, how):
    words = {"python": sys.executable, "children": CHILDREN}
    script = line.format(long=shlex.join([sys.executable, "-c", LONG]), **words)
    shell = bash(script, tmp_path / "pid")
    child = number(tmp_path / "pid")
    os.kill(shell.pid, how)
    shell.wait()
    wait_until(lambda: not runs(child))


def test_a_bound_command_returns_its_output_and_exit_code():
    script = f"{sys.executable} {CHILDREN} $$ sh -c 'echo done; exit 7'; exit $?"
    done = subprocess.run(["bash", "-c", script], capture_output=True)
    assert (done.stdout, done.returncode) == (b"done\n", 7)


def test_a_bound_command_does_not_begin_once_its_script_has_ended():
    done = subprocess.run([sys.executable, CHILDREN, "1", "echo", "began"], capture_output=True)  # of another parent
    assert (done.stdout, done.returncode) == (b"", -signal.SIGTERM)


def test_children_of_parallel_end_with_it(tmp_path):
    long = [sys.executable, "-c", LONG]
    words = [*long, str(tmp_path / "a"), ":::", *long, str(tmp_path / "b")]
    process = subprocess.Popen([sys.executable, str(ROOT / "scripts" / "parallel.py"), *words])
    pids = [number(tmp_path / name) for name in "ab"]
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(runs, pids)))


def test_parallel_goes_on_after_the_shell_that_started_it(tmp_path):
    """As after `nohup` and a logout; a script that it must not outlive binds it."""
    long = shlex.join([sys.executable, "-c", LONG, str(tmp_path / "child")])
    script = f'{sys.executable} {ROOT / "scripts" / "parallel.py"} {long} >/dev/null & echo $! >"$1"; wait'
    shell = bash(script, tmp_path / "pid")
    parallel, child = number(tmp_path / "pid"), number(tmp_path / "child")
    shell.kill()
    shell.wait()
    time.sleep(0.2)
    assert runs(parallel) and runs(child)
    os.kill(parallel, signal.SIGKILL)
    wait_until(lambda: not runs(child))
