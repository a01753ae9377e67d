#!/usr/bin/env python3
"""Compiler launcher for .cu files: runs nvcc and fails when a kernel leaves its budget.

    ptxas_check.py nvcc ARGUMENTS...

CMake puts it in front of nvcc (CMAKE_CUDA_COMPILER_LAUNCHER). For every kernel and target that ptxas reports, it demands:
no stack frame, no spills, no local memory, no C75xx message (ptxas calls them "info"), and no more registers and shared
memory than the budget that stands in a comment of the kernel's own file, once per kernel function:

    // Budget: pad_kernel 64 registers
    // Budget: conv_mma_kernel 255 registers, 147456 bytes of shared memory

ptxas knows static shared memory only; tests/kernels/budget_test.cpp compares what launches ask for. The longest name that occurs in the compiled function's name counts. A kernel without a budget fails.
Exit status: nvcc's, or 1 with one line per violation.
"""

import re
import subprocess
import sys
from pathlib import Path

BUDGET = re.compile(r"Budget: (\w+) (\d+) registers(?:, (\d+) bytes of shared memory)?")
ENTRY = re.compile(r"Compiling entry function '([^']+)' for '([^']+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")
SERIOUS = re.compile(r"C75\d\d|warning\s*:.*(?:[Ll]ocal memory|[Ss]pill)")


def budgets(source):
    found = {}
    text = re.sub(r"\n\s*//\s*", " ", Path(source).read_text())  # a comment may break lines where it likes
    for name, registers, shared in BUDGET.findall(text):
        found[name] = (int(registers), int(shared or 0))
    return found


def check(source, report):
    """Violations in ptxas's report on `source`, and the table of what was used."""
    limits = budgets(source)
    wrong, used = [], []
    entry = target = None
    for line in report.splitlines():
        if SERIOUS.search(line):
            wrong.append(f"{source}: {line.strip()}")
        if match := ENTRY.search(line):
            entry, target = match.groups()
            names = [name for name in limits if name in entry]
            limit = limits[max(names, key=len)] if names else None
            if limit is None:
                wrong.append(f"{source}: {entry} has no comment 'Budget: NAME N registers'")
        elif entry and (match := STACK.search(line)):
            if any(int(value) for value in match.groups()):
                wrong.append(f"{source}: {entry} on {target}: {match.group(0)}; nothing may leave the registers")
        elif entry and (match := USED.search(line)):
            registers = int(match.group(1))
            shared = SHARED.search(line)
            shared = int(shared.group(1)) if shared else 0
            used.append((entry, target, registers, shared))
            if limit and registers > limit[0]:
                wrong.append(f"{source}: {entry} on {target}: {registers} registers, the budget is {limit[0]}")
            if limit and shared > limit[1]:
                wrong.append(f"{source}: {entry} on {target}: {shared} bytes of static shared memory, "
                             f"the budget is {limit[1]}")
    return wrong, used


def main(command):
    source = next((argument for argument in command if argument.endswith(".cu")), None)
    compiles = source is not None and "-c" in command
    if not compiles:
        return subprocess.call(command)
    run = subprocess.run(command + ["-Xptxas", "-v,-warn-spills,-warn-lmem-usage"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    quiet = [line for line in run.stdout.splitlines() if not line.startswith("ptxas info") and line.strip()
             and "bytes stack frame" not in line]
    if quiet:
        print("\n".join(quiet), file=sys.stderr)
    if run.returncode:
        return run.returncode
    wrong, used = check(source, run.stdout)
    if not used and "RESNET_KERNEL(" in Path(source).read_text():
        wrong.append(f"{source}: ptxas reported no kernel; its wording may have changed")
    if wrong:
        print("\n".join(dict.fromkeys(wrong)), file=sys.stderr)
        if "-o" in command:
            Path(command[command.index("-o") + 1]).unlink(missing_ok=True)
        return 1
    if "-o" in command:
        rows = "".join(f"{entry}\t{target}\t{registers}\t{shared}\n" for entry, target, registers, shared in used)
        Path(command[command.index("-o") + 1] + ".ptxas.tsv").write_text(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
