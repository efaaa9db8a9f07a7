# SPDX-License-Identifier: Apache-2.0
"""Requests per second with and without batching: two models of one server, in turn, so that both see the same machine."""
import re
import struct
import urllib.request

from daemon import Daemon
from messages import digits, predict_request
from table import Row

ENGINE = 'engine: "tensorflow"'
PARAMETERS = "max_batch_size { value: 64 } max_enqueued_batches { value: 100 }"
SETTINGS = {"alone": f"update {{ {ENGINE} }}", "batched": f"update {{ {ENGINE} batching {{ {PARAMETERS} }} }}"}
SIZES = ":tensorflow:serving:batching_session:input_batch_size"


def write_requests(bench, name):
    bodies = [predict_request(name, "input", row) for row in digits()[:100]]
    path = bench.folder / f"requests-{name}"
    path.write_bytes(b"".join(struct.pack("<I", len(body)) + body for body in bodies))
    return path


def rows_and_runs(daemon):
    """Rows of all batches until now, and how many those were."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.rest_port}/monitoring/prometheus/metrics") as answer:
        page = answer.read().decode()
    return [sum(float(value) for value in re.findall(rf"^{SIZES}_{what}{{}} (\S+)$", page, re.M)) for what in ("sum", "count")]


def with_and_without(bench, connections):
    monitoring = bench.folder / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    figures = {name: [] for name in SETTINGS}
    with Daemon(bench.build, SETTINGS, [f"--monitoring_config_file={monitoring}"]) as daemon:
        clients = {}
        for name in SETTINGS:
            daemon.put(name, 1, bench.good[0])
            daemon.wait_serving(name, 1)
            clients[name] = bench.client(daemon, "grpc", connections)
            clients[name].requests = write_requests(bench, name)
            clients[name].measure(0.5)
        before = rows_and_runs(daemon)
        for _ in range(bench.rounds):
            for name, client in clients.items():
                figures[name].append(client.measure(bench.seconds(2))["per_second"])
        rows, runs = (now - then for now, then in zip(rows_and_runs(daemon), before))
    note = (f"models/digits/2, one row a request, engine tensorflow, {connections} connections, batch_timeout_micros 0; "
            f"{rows / max(runs, 1):.1f} rows in a run on average")
    return [Row(f"batching_{connections}", f"batching on / off, {connections} conn., TF", "x",
                [on / off for on, off in zip(figures["batched"], figures["alone"])], note=note),
            Row(f"batching_on_{connections}", "  on", "/s", figures["batched"], note=note),
            Row(f"batching_off_{connections}", "  off", "/s", figures["alone"])]
