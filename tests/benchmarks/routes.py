"""Measures the requests per second of health routes and of constant answers of the framework, in alternating rounds."""

from benchmarks.build import free_port, load, median, program, running, table

CONNECTIONS, MILLISECONDS, ROUNDS = 32, 1_000, 9


def compared(command, *paths, environment=None):
    """Returns the requests per second of each path, and their ratio to the first path in the same round."""
    port = free_port()
    with running(command, port, environment):
        load(port, CONNECTIONS, 300, 1, *paths)
        found = load(port, CONNECTIONS, MILLISECONDS, ROUNDS, *paths)
    of = {path: [it["per_second"] for it in found if it["path"] == path] for path in paths}
    return {path: (median(rates), median([rate / base for rate, base in zip(rates, of[paths[0]])]))
            for path, rates in of.items()}


def measured():
    server = program("requests", "server")
    rows = []
    for framework in ["axum", "actix", "warp"]:
        ten = compared([server, framework, "10"], "/constant", "/hello", "/health", "/livez", "/health/metrics")
        hundred = compared([server, framework, "100"], "/constant", "/health")
        cell = lambda pair: f"{pair[0]:,.0f} ({pair[1]:.2f})"
        rows.append([framework, f"{ten['/constant'][0]:,.0f}", cell(ten["/health"]), cell(ten["/hello"]),
                     cell(ten["/livez"]), cell(ten["/health/metrics"]), cell(hundred["/health"])])
    head = ["framework", "constant with the same bytes", "`/health`, 10 checks", "`/hello`", "`/livez`",
            "`/health/metrics`", "`/health`, 100 checks (ratio to its own constant)"]
    text = (table(head, rows)
            + f"\n\nRequests per second over {CONNECTIONS} connections, and in brackets the ratio to the "
            f"constant in the same round. Medians of {ROUNDS}\nalternating rounds. The load generator runs on the "
            "same cores.")
    return text, {}
