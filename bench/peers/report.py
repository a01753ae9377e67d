"""Tables and the chart, from the numbers that run.py collected. Nothing is computed here that was not measured."""

import statistics


def median_ratio(results, name, base):
    """Median over rounds of base time / this time: above 1 means that `name` is faster than `base`."""
    return statistics.median(b / a for a, b in zip(results[name], results[base]))


def fastest_peer(results, own):
    return min((name for name in results if name != own), key=lambda name: statistics.median(results[name]))


def inference_table(case, own):
    rounds = case["rounds"]
    peer = fastest_peer(rounds, own) if len(rounds) > 1 else own
    lines = [f"**{case['network']}, batch {case['batch']}, {case['precision']}** (fastest peer: {peer})", "",
             "| engine | median ms | fastest round ms | spread of rounds | fastest peer's time / this | relative L2 |",
             "|---|---:|---:|---:|---:|---:|"]
    for name in sorted(rounds, key=lambda name: statistics.median(rounds[name])):
        times = rounds[name]
        middle = statistics.median(times)
        label = f"**{name}**" if name == own else name
        lines.append(f"| {label} | {middle:.2f} | {min(times):.2f} | {(max(times) - min(times)) / middle:.0%} | "
                     f"{median_ratio(rounds, name, peer):.3f} | {case['relative_l2'][name]:.1e} |")
    return "\n".join(lines)


def process_table(cases, own):
    rounds = {name: case["seconds"] for name, case in cases.items()}
    peer = fastest_peer(rounds, own)
    lines = ["| whole process | median ms | of the fastest peer | peak memory |", "|---|---:|---:|---:|"]
    for name in sorted(rounds, key=lambda name: statistics.median(rounds[name])):
        lines.append(f"| {f'**{name}**' if name == own else name} | {statistics.median(rounds[name]) * 1e3:.0f} | "
                     f"{1 / median_ratio(rounds, name, peer):.2f} x | "
                     f"{statistics.median(cases[name]['peak_bytes']) / 1e6:.0f} MB |")
    return "\n".join(lines)


def preprocess_table(rounds, own):
    peer = fastest_peer(rounds, own)
    lines = ["| 12-megapixel JPEG to tensor | median ms | of the peer |", "|---|---:|---:|"]
    for name in sorted(rounds, key=lambda name: statistics.median(rounds[name])):
        lines.append(f"| {f'**{name}**' if name == own else name} | {statistics.median(rounds[name]):.1f} | "
                     f"{1 / median_ratio(rounds, name, peer):.2f} x |")
    return "\n".join(lines)


def markdown(data):
    own = data["own"]
    parts = [f"{data['machine']}, {data['threads']} threads, {data['date']}. {data['rounds']} alternating rounds; "
             "a ratio is the median of the rounds' ratios.",
             "Versions: " + ", ".join(f"{name} {version}" for name, version in data["versions"].items()) + "."]
    parts += [inference_table(case, own) for case in data["inference"]]
    if data.get("process"):
        parts.append(process_table(data["process"], own))
    if data.get("preprocess"):
        parts.append(preprocess_table(data["preprocess"], own))
    parts += data["notes"]
    return "\n\n".join(parts) + "\n"


def chart(data, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = data["inference"]
    columns = min(4, len(cases))
    rows = -(-len(cases) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(3.2 * columns, 2.6 * rows + 0.6), squeeze=False)
    for axis in axes.flat[len(cases):]:
        axis.axis("off")
    for axis, case in zip(axes.flat, cases):
        names = sorted(case["rounds"], key=lambda name: statistics.median(case["rounds"][name]), reverse=True)
        values = [statistics.median(case["rounds"][name]) for name in names]
        bars = axis.barh(names, values, color=["#c44e52" if name == data["own"] else "#8c9bb0" for name in names])
        axis.bar_label(bars, [f"{value:.1f}" for value in values], padding=2, fontsize=7)
        axis.set_xlim(0, max(values) * 1.2)
        axis.set_title(f"{case['network']}, batch {case['batch']}, {case['precision']}", fontsize=9)
        axis.set_xlabel("ms per batch, less is better", fontsize=8)
        axis.tick_params(labelsize=8)
    figure.suptitle(f"{data['machine']}, {data['threads']} threads", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
