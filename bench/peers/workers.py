"""Worker processes that are stopped while another one is measured."""

import os
import signal
import subprocess


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
    import time

    read_end, write_end = os.pipe()
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=write_end, stderr=subprocess.DEVNULL)
    os.close(write_end)
    with os.fdopen(read_end) as out:
        text = out.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    if status != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {status}")
    return seconds, usage.ru_maxrss * 1024, text
