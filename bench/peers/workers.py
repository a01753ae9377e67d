"""Worker processes that are stopped while another one is measured."""

import os
import pathlib
import signal
import subprocess
import sys


class Worker:
    """A process that answers one line per command and sleeps (SIGSTOP) in between, so that spinning threads of one
    engine cost no other engine anything."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, start_new_session=True)
        if self._answer() != "ready":
            raise RuntimeError(f"{name} did not start: {' '.join(map(str, command))}")
        self._signal(signal.SIGSTOP)

    def ask(self, command):
        self._signal(signal.SIGCONT)
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self._signal(signal.SIGSTOP)
        if not answer or answer.startswith("error"):
            raise RuntimeError(f"{self.name}: {command}: {answer or 'died'}")
        return answer

    def times(self, command):
        return [float(word) for word in self.ask(command).split()]

    def close(self):
        self._signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()

    def _answer(self):
        return self.process.stdout.readline().strip()

    def _signal(self, which):
        if self.process.poll() is None:
            os.kill(self.process.pid, which)


def run_once(command):
    """Wall seconds, peak memory in bytes and stdout of a whole process."""
    read_end, write_end = os.pipe()
    script = pathlib.Path(__file__).resolve().parent / "time_one.py"
    helper = [sys.executable, "-I", "-S", script, *command]
    process = subprocess.Popen(["/bin/sh", "-c", f'exec "$@" 3>&{write_end}', "sh", *map(str, helper)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(write_end,), text=True)
    os.close(write_end)
    out, errors = process.communicate()
    with os.fdopen(read_end) as result:
        numbers = result.read().split()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {process.returncode}: {errors}")
    return float(numbers[0]), int(numbers[1]), out
