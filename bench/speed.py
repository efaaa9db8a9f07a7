# SPDX-License-Identifier: Apache-2.0
"""How fast requests are answered, beside a server that has no model and beside the engine with no server."""
import contextlib
import json
import re
import subprocess
import tempfile

from daemon import Daemon, Failed, free_port, wait_for_port
from table import Row

CONNECTIONS = 16


@contextlib.contextmanager
def bare_server(bench, answer_path):
    """nghttp2 alone, with the same bytes for every request. Yields its port."""
    port = free_port()
    process = subprocess.Popen([str(bench.program("bare_server")), str(port), str(answer_path)], stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def against_bare_server(bench):
    """Requests per second over 16 connections: Predict, a bare HTTP/2 server, REST; in turn, so that all see the same machine."""
    ratios, predict, bare, rest, bare_one = [], [], [], [], []
    with Daemon(bench.build, {"digits": 'update { engine: "openvino" }'}) as daemon:
        daemon.put("digits", 1, bench.good[0])
        daemon.wait_serving("digits", 1)
        clients = {"predict": bench.client(daemon, "grpc", CONNECTIONS), "rest": bench.client(daemon, "rest", CONNECTIONS)}
        with bare_server(bench, clients["predict"].one_answer()) as port:
            clients["bare"] = bench.client(daemon, "grpc", CONNECTIONS, port=port)
            clients["bare_one"] = bench.client(daemon, "grpc", 1, port=port)
            for client in clients.values():
                client.measure(0.5)
            for _ in range(bench.rounds):
                bare.append(clients["bare"].measure(bench.seconds(4))["per_second"])
                predict.append(clients["predict"].measure(bench.seconds(4))["per_second"])
                rest.append(clients["rest"].measure(bench.seconds(2))["per_second"])
                bare_one.append(clients["bare_one"].measure(bench.seconds(1))["p50_us"])
                ratios.append(predict[-1] / bare[-1])
    return [Row("predict_of_bare", "Predict, 16 conn. / bare HTTP/2", "x", ratios, least=0.45,
                note="requests/s of Predict (784 floats, OpenVINO) over those of a server on nghttp2 that answers the same bytes"),
            Row("predict_per_second", "  Predict", "/s", predict),
            Row("bare_per_second", "  bare HTTP/2 server", "/s", bare),
            Row("rest_per_second", "  REST predict", "/s", rest),
            Row("bare_p50", "bare HTTP/2, 1 connection, p50", "µs", bare_one,
                note="what a round trip takes with no model at all, same bytes and load generator: part of Predict's p50 below")]


def engine_direct(bench, engine, seconds, period_us):
    """p50 in µs of the engine's own call, through its plug-in, in a process of its own: back to back, and once each period."""
    with tempfile.TemporaryDirectory(prefix="everlit-bench-") as scratch:
        done = subprocess.run([str(bench.program("engine_direct")), str(bench.build / "src/engine" / f"engine_{engine}.so"),
                               str(bench.good[0]), scratch, str(bench.floats), str(seconds), str(period_us)],
                              check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    return figures["back_to_back"]["p50_us"], figures["paced"]["p50_us"]


def over_the_engine(bench, engine, name, limit):
    """One connection, one request at a time: what Predict takes more than the engine alone."""
    predict, direct, paced = [], [], []
    with Daemon(bench.build, {"digits": f'update {{ engine: "{engine}" }}'}) as daemon:
        daemon.put("digits", 1, bench.good[0])
        daemon.wait_serving("digits", 1)
        client = bench.client(daemon, "grpc", connections=1)
        client.measure(0.5)
        for _ in range(bench.rounds):
            predict.append(client.measure(bench.seconds(2))["p50_us"])
            alone = engine_direct(bench, engine, bench.seconds(1), predict[-1])
            direct.append(alone[0])
            paced.append(alone[1])
    more = [[whole - part for whole, part in zip(predict, parts)] for parts in (paced, direct)]
    return [Row(f"predict_over_{engine}", f"Predict p50 − engine's, {name}", "µs", more[0], limit=limit,
                note="one connection, one request at a time; the engine through its plug-in, in a process of its own, called as often as "
                     "Predict was, its thread asleep between two calls"),
            Row(f"predict_over_back_to_back_{engine}", "  − engine's back to back", "µs", more[1],
                note="the same, but each call of the engine begins when the one before has ended, so that all it needs is in the caches"),
            Row(f"predict_p50_{engine}", "  Predict p50, 1 connection", "µs", predict),
            Row(f"direct_paced_p50_{engine}", "  engine alone, at that pace", "µs", paced),
            Row(f"direct_p50_{engine}", "  engine alone, back to back", "µs", direct)]


def round_trip(bench):
    """Front to worker and back through shared memory, with an engine that does nothing: from the program's own lines."""
    p50, most = [], []
    for _ in range(min(bench.rounds, 3)):
        done = subprocess.run([str(bench.program("bench_worker")), "--helper", str(bench.build / "src/worker/everlit-worker"),
                               "--engine-dir", str(bench.build / "src/engine"), "--seconds", "0.5"],
                              check=True, capture_output=True, text=True)
        figures = {name.strip(): (float(rate), float(p50_us)) for name, rate, p50_us in re.findall(
            r"^(.+?) +(\d+) calls/s +p50 +([\d.]+) µs", done.stdout, re.MULTILINE)}
        if "one at a time" not in figures or "16 in flight" not in figures:
            raise Failed(f"bench_worker said: {done.stdout}")
        p50.append(figures["one at a time"][1])
        most.append(figures["16 in flight"][0])
    return [Row("round_trip", "front ↔ worker and back, p50", "µs", p50, note="bench_worker, one call at a time, engine that does nothing"),
            Row("round_trips_per_second", "  16 in flight", "/s", most)]
