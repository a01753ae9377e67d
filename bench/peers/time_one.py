"""Runs one command and writes its wall seconds and peak memory to file descriptor 3.

A process of its own because Linux counts the memory of whoever forks into the child's peak: this one is small.
"""

import os
import sys
import time

begin = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, 3)])
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - begin
os.write(3, f"{seconds} {usage.ru_maxrss * 1024}".encode())
sys.exit(os.waitstatus_to_exitcode(status))
