# SPDX-License-Identifier: ISC
"""What becomes of the figures of scripts/bench: a table to read, the same in
Markdown, a plot, and the block of the README. All are made of the summary in
results.json, so that they can be made again."""
import statistics
import subprocess

OURS = "sallyport"
BEGIN = "<!-- bench: written by scripts/bench --readme -->"
END = "<!-- bench: end -->"
PANEL_WIDTH, PANEL_HEIGHT = 520, 240


# --- the summary ------------------------------------------------------------

def summarise(values):
    middle = statistics.median(values)
    return {"median": middle, "least": min(values), "most": max(values)}


def add_ratios(rows):
    """To the best of the others, column by column."""
    columns = range(len(next(iter(rows.values()))["columns"])) if rows else ()
    for i in columns:
        others = [row["columns"][i]["median"] for peer, row in rows.items()
                  if not peer.startswith(OURS)]
        best = min(others, default=0)
        for row in rows.values():
            cell = row["columns"][i]
            cell["ratio"] = cell["median"] / best if best > 0 else None


def number(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(cell):
    middle = cell["median"]
    share = (cell["most"] - cell["least"]) / middle if middle else 0
    return f"{100 * share:.0f}%"


def ratio(cell):
    return "-" if cell["ratio"] is None else f"{cell['ratio']:.2f}"


# --- tables -----------------------------------------------------------------

def heading(mode):
    goal = f" (to reach: {mode['goal']})" if mode["goal"] else ""
    return mode["title"] + goal


def cells_of(mode):
    """Rows of text, the head first."""
    head = ["gateway"]
    for name in mode["names"]:
        head += [name, "spread", "ratio"]
    yield head + ["saturated at", "errors"]
    for peer, row in mode["rows"].items():
        line = [peer]
        for cell in row["columns"]:
            line += [number(cell["median"]), spread(cell), ratio(cell)]
        yield line + [row["saturated"], str(row["errors"])]


def aligned(rows):
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        first, *others = (
            text.rjust(width) for text, width in zip(row, widths))
        lines.append("  ".join(["", row[0].ljust(len(first)), *others]))
    return "\n".join(lines) + "\n"


def as_text(mode):
    return f"{heading(mode)}\n{aligned(cells_of(mode))}"


def markdown_rows(rows):
    rows = list(rows)
    rows.insert(1, ["---"] + ["---:"] * (len(rows[0]) - 1))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def circumstances(kept):
    versions = ", ".join(f"{peer} {about['version']}"
                         for peer, about in kept["gateways"].items())
    return (f"{kept['processor']}; {kept['system']}; {kept['date']}. "
            f"{kept['rounds']} rounds of {kept['seconds']:g} s; medians.\n"
            f"{versions}.\n")


def as_markdown(kept):
    parts = ["# Benchmarks\n\n", circumstances(kept), "\n"]
    for peer, about in kept["gateways"].items():
        if about["note"]:
            parts.append(f"- {peer}: {about['note']}\n")
    for mode in kept["modes"].values():
        parts.append(f"\n## {heading(mode)}\n\n")
        parts.append(markdown_rows(cells_of(mode)))
    return "".join(parts)


# --- the README -------------------------------------------------------------

def readme_rows(kept):
    peers = list(kept["gateways"])
    yield ["", "to reach", "ratio", *peers]
    for mode in kept["modes"].values():
        for i, name in enumerate(mode["names"]):
            cells = {peer: row["columns"][i]
                     for peer, row in mode["rows"].items()}
            ours = cells.get(OURS)
            yield [f"{mode['title']}, {name}", mode["goal"] if i == 0 else "",
                   ratio(ours) if ours else "-",
                   *(number(cells[peer]["median"]) if peer in cells else "-"
                     for peer in peers)]


def readme_block(kept):
    notes = "; ".join(f"{peer} {about['note']}"
                      for peer, about in kept["gateways"].items()
                      if about["note"])
    return (f"{BEGIN}\n{circumstances(kept)}\n"
            f"{markdown_rows(readme_rows(kept))}\n"
            "Ratio: Sallyport's figure to that of the best of the others.\n"
            f"{notes}.\n{END}\n")


def replace_block(text, kept):
    """None: the text has no place for it."""
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        return None
    return text[:begin] + readme_block(kept) + text[end + len(END) + 1:]


# --- plots ------------------------------------------------------------------

def gnuplot(script, path):
    """Leaves the script beside the picture."""
    path.with_suffix(".gnuplot").write_text(script)
    subprocess.run(["gnuplot", path.with_suffix(".gnuplot")], check=True)


def panel(title, name, index, cells):
    """One bar for each gateway, with the least and the most that was seen."""
    lines = [f"${index} << EOD"]
    for at, (peer, cell) in enumerate(cells.items()):
        colour = 0x2f6f4f if peer == OURS else 0xa0a8b0
        lines.append(f'{at} "{peer}" {cell["median"]} {cell["least"]} '
                     f'{cell["most"]} 0.7 {colour}')
    return "\n".join(lines) + (
        f'\nEOD\nset title "{title}"\nset ylabel "{name}"\n'
        f"plot ${index} using 1:3:4:5:6:7:xtic(2) with boxerrorbars "
        "lc rgb variable\n")


def plot(kept, path):
    panels = []
    for mode in kept["modes"].values():
        for i, name in enumerate(mode["names"]):
            cells = {peer: row["columns"][i]
                     for peer, row in mode["rows"].items()}
            if cells:
                panels.append(panel(mode["title"], name, f"d{len(panels)}",
                                    cells))
    multiplot(panels, path, """\
set style fill solid
set xtics rotate by -20 scale 0
""")


def multiplot(panels, path, settings):
    """Two beside each other, all from zero."""
    rows = -(-len(panels) // 2)
    if rows == 0:
        return
    gnuplot(f"""\
set terminal svg size {2 * PANEL_WIDTH},{rows * PANEL_HEIGHT} font "sans,11"
set output "{path}"
set multiplot layout {rows},2
set yrange [0:*]
set nokey
set border 3
set grid ytics
{settings}""" + "".join(panels), path)
