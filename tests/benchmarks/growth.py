"""Measures the cost of a service by the number of its checks: a table, and a picture of the growth."""

import json
import subprocess

from benchmarks.build import program, table

NUMBERS = [10, 100, 1_000, 10_000]
RUNS = 60
PICTURE = "docs/src/growth.svg"


def _run(*arguments):
    command = [program("growth"), *map(str, arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def measured():
    rows, results = [], []
    for number in NUMBERS:
        found = _run(number)
        found["memory"] = _run(number, RUNS)["resident_bytes_per_check"] if number >= 1_000 else None
        results.append(found)
        health, livez = found["health"], found["livez"]
        rows.append([
            f"{number:,}", f"{found['cores']:.3f}", f"{found['ready_ms']:.0f} ms",
            f"{livez['median_us']:.0f} / {livez['p99_us']:.0f} us",
            f"{health['median_us']:.0f} / {health['p99_us']:.0f} us",
            f"{health['bytes'] / 1000:,.1f} kB", f"{found['slowest_change_ms']:.1f} ms",
            "-" if found["memory"] is None else f"{found['memory']:,} B",
            f"{found['insert_all_500_ms']:.1f} / {found['insert_500_ms']:.1f} ms",
        ])
    head = ["checks", "CPU (cores)", "Ready after", "`/livez` median / p99", "`/health` median / p99",
            "size of `/health`", "slowest change of 20", "memory per check", "500 checks inserted at once / one by one"]
    text = (table(head, rows)
            + "\n\nEach check succeeds at once and runs once a second, in one process without sockets. A request "
            "is sent every 23 ms, so\nthat with 100 checks or more most requests find new results. The time of a "
            "change is measured from its cause to the\nsubscriber and the next request. Memory is resident memory "
            f"after {RUNS} runs of each check, without a rendered body.\n\n"
            "![CPU and response time by the number of checks](growth.svg)")
    return text, {PICTURE: _picture(results)}


def _picture(results):
    """Returns a picture of two panels with logarithmic axes: CPU time, and response time."""
    import math
    series = [
        ("Cores used, each check once a second",
         [(it["checks"], it["cores"]) for it in results], 1e-4, 1e1, lambda value: f"{value:.3f}"),
        ("Microseconds of an answer to /health, p99",
         [(it["checks"], it["health"]["p99_us"]) for it in results], 1e1, 1e6, lambda value: f"{value:.0f}"),
    ]
    parts = []
    for panel, (title, points, low, high, shown) in enumerate(series):
        left, top, width, height = 70 + 400 * panel, 40, 300, 200
        at_x = lambda value, left=left, width=width: left + width * (math.log10(value) - 1) / 3
        at_y = lambda value: top + height * (1 - (math.log10(value / low) / math.log10(high / low)))
        parts.append(f'<text x="{left}" y="24" class="title">{title}</text>')
        parts.append(f'<path d="M{left},{top} v{height} h{width}" class="axis"/>')
        for number in NUMBERS:
            parts.append(f'<text x="{at_x(number):.0f}" y="{top + height + 18}" class="label">{number:,}</text>')
        parts.append(f'<text x="{left + width / 2:.0f}" y="{top + height + 40}" class="label">checks</text>')
        # The dashed line has the slope of a value in proportion to the number of checks.
        first = points[0][1]
        line = " ".join(f"{at_x(number):.1f},{at_y(min(max(first * number / 10, low), high)):.1f}"
                        for number in NUMBERS if low <= first * number / 10 <= high)
        parts.append(f'<polyline points="{line}" class="linear"/>')
        line = " ".join(f"{at_x(number):.1f},{at_y(min(max(value, low), high)):.1f}" for number, value in points)
        parts.append(f'<polyline points="{line}" class="line"/>')
        for number, value in points:
            # Keeps the first label off the axis.
            aside = 26 if number == NUMBERS[0] else 0
            y = at_y(min(max(value, low), high))
            parts.append(f'<circle cx="{at_x(number):.1f}" cy="{y:.1f}" r="4"/>')
            parts.append(f'<text x="{at_x(number) + aside:.1f}" y="{y + 20:.1f}" class="label">{shown(value)}</text>')
    parts.append('<text x="400" y="312" class="label">dashed: in proportion to the number of checks</text>')
    style = ("text{font:13px system-ui,sans-serif;fill:#888}.title{font-weight:600;fill:#3b82f6}"
             ".label{text-anchor:middle}"
             ".axis{fill:none;stroke:#888}.line{fill:none;stroke:#3b82f6;stroke-width:2}circle{fill:#3b82f6}"
             ".linear{fill:none;stroke:#888;stroke-dasharray:4 4}")
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 324" role="img">'
            '<title>CPU and time of an answer by the number of checks; dashed: in proportion to it</title>'
            f'<style>{style}</style>{"".join(parts)}</svg>\n')
