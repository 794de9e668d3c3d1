"""Programs that mean harm, in the real sandbox: none gets out, none is paid, and the next one is judged."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.samples import direct

from rewards.pool import Pool
from rewards.sandbox.box import Outcome, Sandbox, SandboxError
from rewards.sandbox.confine import Limits
from rewards.sandbox.seccomp import TABLES
from rewards.sandbox.warden import Run
from rewards.verifiers.code import code
from rewards.worker import Job

LIMITS = Limits(seconds=0.5, memory_mib=256, output_kib=64, files_mib=4, most_files=20)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS) as live:
        if live.missing:
            pytest.skip(f"this kernel has no {', '.join(live.missing)}")
        yield live


@pytest.fixture
def run(sandbox: Sandbox) -> Iterator[Any]:
    """Runs a program; afterwards the sandbox must judge the next one as if nothing had been."""

    def _run(source: str, **more: Any) -> Outcome:
        return sandbox.run(Run(source, **more))

    yield _run
    assert _run("print(sum(map(int, input().split())))", stdin="1 2")[:2] == ("", "3\n")


def test_programs_read_and_print_and_functions_return(run: Any) -> None:
    assert run("print('x', end='')").output == "x"
    assert run("def f(a, b): return [a, b]", function="f", arguments="[1, (2,)]").output == "[1, [2]]"
    assert run("class Solution:\n def f(self): print('noise'); return 1", function="f").output == "1"
    assert run("import threading\nthreading.Thread(target=lambda: print(7)).start()").output == "7\n"
    assert run("open('a', 'w').write('hi')\nprint(open('a').read())").output == "hi\n"
    assert run("if __name__ == '__main__': print(1)").output == "1\n"
    assert run("import os\nprint(os.listdir('.'))").output == "[]\n"
    assert (
        run("import sys\nsys.setrecursionlimit(10**6)\nf = lambda n: n and 1 + f(n - 1)\nprint(f(20000))").output
        == "20000\n"
    )


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("while True: pass", "took more than 0.5 s"),
        ("import time; time.sleep(60)", "took too long by the clock"),
        ("import signal\nfor n in range(1, 60):\n try: signal.signal(n, signal.SIG_IGN)\n except Exception: pass\n"
         "while True: pass", "took more than 0.5 s"),
        ("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 60))\nwhile True: pass",
         "took more than 0.5 s"),
        ("9**9**9**9", "took more than 0.5 s"),
        ("import os\nos.close(1); os.close(2)\nwhile True: pass", "took more than 0.5 s"),
        ("import threading\nfor _ in range(3): threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()",
         "took more than 0.5 s"),
        ("x = [0] * 10**9", "MemoryError"),
        ("x = bytearray(10**9)", "MemoryError"),
        ("import mmap\nmmap.mmap(-1, 10**9)", "Cannot allocate memory"),
        ("while True: print('x' * 10**6)", "wrote more than 64 KiB"),
        ("import sys\nwhile True: sys.stderr.write('x' * 10**6)", "took"),
        ("import os\nwhile True: os.fork()", "Operation not permitted"),
        ("import subprocess\nsubprocess.run(['/bin/true'])", "Operation not permitted"),
        ("import os\nos.execv('/bin/true', ['true'])", "Operation not permitted"),
        ("import os\nos.system('true') and exit(9)", "exit code 9"),
        ("import multiprocessing\nmultiprocessing.Process(target=print).start()", "Operation not permitted"),
        ("import ctypes\nctypes.CDLL(None).vfork() < 0 and exit(9)", "exit code 9"),
        ("import socket\nsocket.socket()", "Operation not permitted"),
        ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1')", "Operation not permitted"),
        ("import os\nos.kill(os.getppid(), 9)", "Operation not permitted"),
        ("import os\nos.kill(-1, 9)", "Operation not permitted"),
        ("import os\nos.kill(0, 9)", "Operation not permitted"),
        ("import os\nos.killpg(os.getpgid(os.getppid()), 9)", "Operation not permitted"),
        ("import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)", "Operation not permitted"),
        ("import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))", "Operation not permitted"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "not allowed to raise maximum limit"),
        ("import os\nos.setpriority(os.PRIO_PROCESS, os.getppid(), 19)", "Operation not permitted"),
        ("import os\nopen(f'/proc/{os.getppid()}/mem', 'rb')", "Permission denied"),
        ("import os\nopen(f'/proc/{os.getppid()}/environ', 'rb')", "Permission denied"),
        ("open('/etc/passwd')", "Permission denied"),
        ("open('../evil', 'w')", "Permission denied"),
        ("import os\nos.mkdir('a')", "Permission denied"),
        ("import os\nos.symlink('/etc/passwd', 'a')", "Permission denied"),
        ("import os\nos.mkfifo('a')", "Permission denied"),
        ("import os\nos.chroot('.')", "Operation not permitted"),
        ("import os\nos.memfd_create('x')", "Operation not permitted"),
        ("import ctypes\nctypes.CDLL(None).unshare(0x10000000) and exit(9)", "exit code 9"),
        ("import ctypes\nctypes.CDLL(None).ptrace(16, 1, 0, 0) and exit(9)", "exit code 9"),
        ("import ctypes\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0) and exit(9)", "exit code 9"),
        ("import ctypes\nctypes.CDLL(None).syscall(425, 8, 0) < 0 and exit(9)", "exit code 9"),
        ("import ctypes\nctypes.string_at(0)", "ended by signal 11"),
        ("open('big', 'wb').write(b'x' * 10**8)", "File too large"),
        ("for n in range(10**6): open(str(n), 'w').write('x')", "files"),
        ("import os\nos._exit(3)", "exit code 3"),
        ("raise SystemExit(1)", "exit code 1"),
        ("raise SystemExit('no')", "no"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import sys\nsys.stdout = None\nraise ValueError('x')", "ValueError"),
        ("def f(): return f()\nf()", "RecursionError"),
        ("x = " + "(" * 10**4, "SyntaxError"),
        ("x = " + "-" * 10**5 + "1", "failed"),
        ("\x00", "null bytes"),
        ("\ud800", "surrogates"),
        ("import rewards", "No module named 'rewards'"),
        ("import numpy", "No module named 'numpy'"),
        ("import os\nos.kill(os.getpid(), 9)", "ended by signal 9"),
    ],
    ids=lambda value: str(value).replace("\n", ";")[:60].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_harm_is_refused_and_said(run: Any, source: str, fault: str) -> None:
    began = time.monotonic()
    outcome = run(source)
    assert fault in outcome.fault or fault in outcome.output, outcome
    assert outcome.fault
    assert len(outcome.output) < 200_000
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsys.exit(0)", "import os\nos._exit(0)", "raise SystemExit",
        "import atexit\natexit.register(print, 3)",
        "import os\nos.write(0, b'3')", "def f(): import sys; sys.exit(0)", "def f(): import os; os._exit(0)",
        "class E:\n def __eq__(self, other): return True\ndef f(): return E()", "def f(): yield from iter(int, 1)",
        "def f():\n a = []\n a.append(a)\n return a", "def f(): return float('nan')", "f = 3", "",
    ],
)  # fmt: skip
def test_tricks_with_the_end_and_with_equality_earn_nothing(source: str) -> None:
    cases = json.dumps([{"input": [], "output": 3, "fn_name": "f"}])
    judgement = code(direct(source, cases), seconds=0.5)
    assert judgement.score == 0, judgement


def test_the_expected_output_is_nowhere_in_reach() -> None:
    """All of the memory and files that a program can see, searched for what is expected of it."""
    search = (
        "import gc, sys, os\n"
        "piece = lambda: ''.join(['Zq', '7' * 9])\n"
        "seen = [repr(vars(module)) for module in list(sys.modules.values())]\n"
        "seen += [one for one in gc.get_objects() if isinstance(one, str)]\n"
        "frame = sys._getframe().f_back\n"
        "while frame:\n seen.append(repr(frame.f_locals)); frame = frame.f_back\n"
        "for fd in range(64):\n"
        " try: os.lseek(fd, 0, 0); seen.append(os.read(fd, 10**6).decode())\n"
        " except OSError: pass\n"
        "print(len(seen) > 50, sum(piece() in one for one in seen))\n"
    )
    judgement = code(direct(f"```python\n{search}```", json.dumps([{"input": "", "output": "Zq777777777Xw"}])))
    assert judgement.score == 0
    assert "found 'True 0'" in judgement.reason


def test_nothing_of_ours_is_inherited(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALYARD_SECRET", "42")
    with tempfile.NamedTemporaryFile() as file, Sandbox(LIMITS) as fresh:
        os.set_inheritable(file.fileno(), True)
        assert "SECRET" not in fresh.run(Run("import os\nprint(os.environ)")).output
        listed = fresh.run(Run(
            "import os\nfor fd in range(64):\n try: os.fstat(fd); print(fd)\n except OSError: pass"
        )).output  # fmt: skip
    assert listed.split() == ["0", "1", "2"]


def test_sockets_of_this_machine_are_out_of_reach(run: Any) -> None:
    """The namespace or the filter: a listener here hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        run(f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}))")
        with pytest.raises(TimeoutError):
            server.accept()


def test_files_outside_stay_as_they_are(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("mine")
    before = file.stat()
    for call in (f"os.remove({str(file)!r})", f"os.truncate({str(file)!r}, 0)", f"os.chmod({str(file)!r}, 0)",
                 f"os.utime({str(file)!r}, (0, 0))", f"os.rename({str(file)!r}, 'a')", f"os.link({str(file)!r}, 'a')",
                 f"open({str(file)!r}, 'a')"):  # fmt: skip
        assert run(f"import os\n{call}").fault
    assert (file.read_text(), file.stat().st_mode, file.stat().st_mtime) == ("mine", before.st_mode, before.st_mtime)


def test_no_process_and_no_folder_outlives_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    family: list[psutil.Process] = []
    with Sandbox(LIMITS) as live:
        warden = psutil.Process(live._warden.pid)

        def kill_while_it_runs() -> None:
            while not warden.children():
                time.sleep(0.01)
            family.extend([warden, *warden.children()])
            warden.kill()

        threading.Thread(target=kill_while_it_runs).start()
        with pytest.raises(SandboxError, match="its warden"):
            live.run(Run("import time\ntime.sleep(60)"))
    assert len(family) == 2
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone")
def test_both_machines_refuse_the_same_calls() -> None:
    only = {"fork", "vfork", "chmod", "chown", "lchown", "utime", "utimes", "futimesat"}
    assert set(TABLES["x86_64"]) - set(TABLES["aarch64"]) == only
    assert all(len(set(table.values())) == len(table) for table in TABLES.values())


SUMS = json.dumps([{"input": "1 2", "output": "3"}, {"input": "3 4", "output": "7"}, {"input": "5 6", "output": "11"}])


def test_code_is_paid_for_all_cases_or_its_share() -> None:
    right = "Here:\n```python\na, b = map(int, input().split())\nprint(a + b)\n```"
    judgement = code(direct(right, SUMS))
    assert judgement.score == 1, judgement
    assert judgement.parts == {"passed": 1, "isolated": 1}
    assert "isolated by limits, landlock, seccomp" in judgement.reason
    often = right.replace("a + b", "a + b if a < 5 else 0")
    assert code(direct(often, SUMS)).score == 0
    assert code(direct(often, SUMS), partial=True).score == pytest.approx(2 / 3)
    assert "2 of 3 cases passed; case 3: expected '11', found '0'" in code(direct(often, SUMS), partial=True).reason
    assert code(direct("", SUMS)).score == 0
    assert code(direct("I do not know.", SUMS)).score == 0
    assert code(direct("x" * 200_000, SUMS)).score == 0
    assert code(direct(right, "what?")).score is None


def test_asserts_and_methods_are_called() -> None:
    tests = json.dumps(["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'"])
    assert code(direct("def add(a, b):\n    return a + b", tests)).score == 1
    assert code(direct("class Solution:\n    def add(self, a, b):\n        return a + b", tests)).score == 1
    assert code(direct("def add(a, b):\n    return b + a", tests)).score == 0


def test_the_time_of_all_cases_is_limited() -> None:
    tests = json.dumps([{"input": "", "output": "x"}] * 20)
    began = time.monotonic()
    judgement = code(direct("import time\ntime.sleep(0.4)\nprint('x')", tests), partial=True, total_seconds=1)
    assert time.monotonic() - began < 4
    assert judgement.score in (0, 0.05, 0.1)
    assert "ran out of all time" in judgement.reason


def test_a_busy_machine_fails_the_verdict_and_not_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program waited for a processor a tenth of the time, and then most of it."""
    slow = direct("import time\ntime.sleep(9)", SUMS)
    judged = []
    for waited in (0.1, 0.9):
        monkeypatch.setattr(Sandbox, "run", lambda *_, waited=waited: Outcome("ran out of all time", "", 0.1, waited))
        judged.append(code(slow, total_seconds=1))
    assert [one.score for one in judged] == [0, None]
    assert judged[1].reason == "timeout: of 1 s the program waited 0.9 s for a processor"


def test_waiting_for_a_processor_is_told_from_sleeping(run: Any) -> None:
    slept, worked = run("import time\ntime.sleep(1)"), run("while True: pass")
    assert (slept.fault, worked.fault) == ("", "took more than 0.5 s")


def test_a_machine_without_barriers_runs_nothing_unless_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.sandbox.box.BARRIERS", ("limits", "moat"))
    judgement = code(direct("print(3)", '[{"input": "", "output": "3"}]'))
    assert judgement.score is None
    assert judgement.reason.startswith("not started: this machine has no moat")
    assert code(direct("print(3)", '[{"input": "", "output": "3"}]'), isolation="any").parts["isolated"] == 0


def test_code_runs_in_a_process_of_the_pool() -> None:
    job = Job("rewards.calls", "judge_with", ("rewards.verifiers.code", "code", {"seconds": 0.5}, "."))
    pool = Pool(job, workers=1, deadline=5.0)
    try:
        asked = [direct("print(sum(map(int, input().split())))", SUMS), direct("while True: pass", SUMS)]
        assert [pool.submit(one).result(60).score for one in asked] == [1, 0]
    finally:
        pool.close()
