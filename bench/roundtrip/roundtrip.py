"""What the round-trip scripts share: convert a file, run it, compare with what the framework computed.

Each script builds full-size networks with a framework, settles their weights, saves them, converts the file with
resnet_convert and compares resnet_infer's numbers with the framework's. Prints one Markdown row per network.
"""

import json
import os
import subprocess
import time
from pathlib import Path

HEADER = ("| source | network | parameters | relative L2 | same arg-max | convert | peak | framework loads |\n"
          "|---|---|---|---|---|---|---|---|")


def tool(name):
    """A tool of the build folder that RESNET_BIN names, or of build/bin."""
    return str(Path(os.environ.get("RESNET_BIN", Path(__file__).parents[2] / "build" / "bin")) / name)


def resident(pid):
    """MB of a process and its children: proportional, so that pages which both map count once."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in [pid, *children]:
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total / 1024


def convert(arguments, out):
    """Seconds of one run, and the peak MB of parent and child together in another, sampled every 2 ms."""
    command = [tool("resnet_convert"), *map(str, arguments), "-o", str(out), "--quiet"]
    begin = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - begin
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.002)
    return seconds, peak


def verify(model, x_path, y_path, layout, tolerance=1e-5):
    """resnet_verify's report on the CPU backend."""
    done = subprocess.run([tool("resnet_verify"), str(model), "--input", str(x_path), "--expected", str(y_path), "--layout",
                           layout, "--device", "cpu", "--tolerance", str(tolerance), "--json"],
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout), done.returncode == 0


def inspect(model):
    done = subprocess.run([tool("resnet_inspect"), str(model), "--json"], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def row(source, name, arguments, folder, layout, framework_seconds):
    """Converts, compares with folder/x.npy and folder/y.npy, and returns a row of the table."""
    model = Path(folder) / "model.rne"
    seconds, peak = convert(arguments, model)
    report, equal = verify(model, Path(folder) / "x.npy", Path(folder) / "y.npy", layout)
    count = inspect(model)["parameters"]["total"]
    model.unlink()
    output = report["output"]
    return (f"| {source} | {name} | {count:,} | {output['relative_l2']:.1e}{'' if equal else ' (!)'} | "
            f"{report['same_class']} of {report['images']} | {seconds:.2f} s | {peak:.0f} MB | {framework_seconds:.2f} s |")
