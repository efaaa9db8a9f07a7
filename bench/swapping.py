# SPDX-License-Identifier: Apache-2.0
"""How fast a version takes over, how sharp the switch is, and what other requests notice while a large model loads."""
import http.client
import time

import footprint
import picture
from daemon import LIMIT_S, Daemon, Failed
from table import Row

RATE = 2000  # requests per second of those who must not notice: a third of a core here, so that waiting shows
LOAD = {"connections": 4, "rate": RATE}


def quantile(values, part):
    """The smallest value that at least this part of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


class Asker:
    """One REST client that asks the same question every half millisecond and sees when the answer becomes another."""

    def __init__(self, daemon, body):
        self.daemon = daemon
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=LIMIT_S)
        self.body = body

    def ask(self):
        self.connection.request("POST", "/v1/models/digits:predict", body=self.body)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed(f"REST predict answered {answer.status}: {text[:300]}")
        return text

    def until_other(self, old, version):
        """When the first other answer was there, which is that of this version."""
        end = time.monotonic() + LIMIT_S
        while self.ask() == old:
            self.daemon.events.find("digits", version)
            if time.monotonic() > end:
                raise Failed(f"digits version {version} never answered")
            time.sleep(0.0005)
        return time.monotonic()


def first_answer(bench, engine, name, limit):
    """From the rename that makes a version's directory complete to the first answer that is the new version's."""
    took_ms = []
    with Daemon(bench.build, {"digits": f'update {{ engine: "{engine}" {footprint.SHORT_WARM} }}'}) as daemon:
        daemon.put("digits", 1, bench.good[1])
        daemon.wait_serving("digits", 1)
        asker = Asker(daemon, bench.json_body)
        for number in range(2, 2 + max(2 * bench.rounds, 3)):
            old = asker.ask()
            complete = daemon.put("digits", number, bench.good[number % 2])
            took_ms.append((asker.until_other(old, number) - complete) * 1e3)
            daemon.remove("digits", number - 1)
            daemon.wait_ended("digits", number - 1)
    return Row(f"first_answer_{engine}", f"complete → answers, {name}", "ms", took_ms, limit=limit,
               note="the version's directory renamed into place, to the first answer of its content over REST")


def calendar_ns():
    """What to add to the monotonic clock for the calendar that events carry."""
    return time.time_ns() - time.monotonic_ns()


def the_switch(bench):
    """How long after the publication of a new route a request was still sent that the old version answered."""
    late_ms = []
    with Daemon(bench.build, {"digits": f'update {{ engine: "openvino" {footprint.SHORT_WARM} }}'}) as daemon:
        daemon.put("digits", 1, bench.good[1])
        daemon.wait_serving("digits", 1)
        published = {}
        with bench.client(daemon, "grpc", connections=16).running() as load:
            for number in range(2, 2 + 2 * bench.rounds):
                daemon.put("digits", number, bench.good[number % 2])
                published[number] = daemon.wait_serving("digits", number)["time_us"] * 1000 - calendar_ns()
                daemon.remove("digits", number - 1)
                daemon.wait_ended("digits", number - 1)
        records = load.result()["records"]
    for number, at in published.items():
        last = max((sent for sent, _, version in records if version == number - 1), default=at)
        late_ms.append(max(last - at, 0) / 1e6)
    return Row("switch", "switch → last on old version", "ms", late_ms, limit=1,
               note="16 connections without pause; when the last request was sent that the old version answered, after the "
                    "new route was published")


def slice_ms(records, first_s, last_s):
    return [took / 1e6 for sent, took, _ in records if first_s <= sent / 1e9 < last_s]


def put_resnet(daemon, number, resnet):
    """Loads a version of the ResNet50; returns when its directory was complete and when it began to serve."""
    complete = daemon.put("resnet", number, resnet)
    daemon.wait_serving("resnet", number)
    serves = time.monotonic()
    if number > 1:
        daemon.remove("resnet", number - 1)
        daemon.wait_ended("resnet", number - 1)
    return complete, serves


def two_models(bench, engine):
    return Daemon(bench.build, {"digits": f'update {{ engine: "openvino" {footprint.SHORT_WARM} }}',
                                "resnet": f'update {{ engine: "{engine}" {footprint.SHORT_WARM} load_timeout_ms: 300000 '
                                          'probe_timeout_ms: 60000 }'})


def while_a_large_model_loads(bench, engine, name):
    """p99.9 of the digits' requests while a ResNet50 loads, over that of a quiet stretch just before; several times."""
    stretches = []
    with two_models(bench, engine) as daemon:
        daemon.put("digits", 1, bench.good[0])
        daemon.wait_serving("digits", 1)
        with bench.client(daemon, "grpc", **LOAD).running() as load:
            time.sleep(1)
            for number in range(1, 1 + bench.rounds):
                quiet = time.monotonic()
                time.sleep(bench.seconds(4))
                stretches.append((quiet, *put_resnet(daemon, number, bench.resnet)))
                time.sleep(0.5)
        records = load.result()["records"]
    quiet_ms = [quantile(slice_ms(records, quiet, complete), 0.999) for quiet, complete, _ in stretches]
    loading_ms = [quantile(slice_ms(records, complete, serves), 0.999) for _, complete, serves in stretches]
    took = ", ".join(f"{serves - complete:.1f}" for _, complete, serves in stretches)
    return [Row(f"p999_loading_{engine}", f"p99.9, ResNet50 loads, {name}", "x",
                [b / a for a, b in zip(quiet_ms, loading_ms)], limit=1.5,
                note=f"{RATE} requests/s over {LOAD['connections']} connections to digits; the loads took {took} s"),
            Row(f"p999_quiet_ms_{engine}", "  quiet", "ms", quiet_ms),
            Row(f"p999_loading_ms_{engine}", "  while it loads", "ms", loading_ms)]


def story(bench):
    """The run that is drawn: quiet, swaps, a ResNet50 that loads, swaps. Returns the SVG's text and the figures in it."""
    swaps, number = [], 1
    pause = bench.seconds(1.5)

    def swap(count):
        nonlocal number
        for _ in range(count):
            number += 1
            daemon.put("digits", number, bench.good[number % 2])
            swaps.append(daemon.wait_serving("digits", number)["time_us"] * 1000 - calendar_ns())
            daemon.remove("digits", number - 1)
            time.sleep(pause)

    with two_models(bench, "auto") as daemon:
        daemon.put("digits", 1, bench.good[1])
        daemon.wait_serving("digits", 1)
        with bench.client(daemon, "grpc", **LOAD).running() as load:
            time.sleep(1)  # connections are made; not drawn
            start = time.monotonic()
            time.sleep(bench.seconds(8))
            quiet_end = time.monotonic()
            swap(4)
            complete, serves = put_resnet(daemon, 1, bench.resnet)
            time.sleep(bench.seconds(3))
            swap(4)
            end = time.monotonic()
        result = load.result()
    records = result["records"]
    quiet, loading = (quantile(slice_ms(records, *span), 0.999) for span in ((start, quiet_end), (complete, serves)))
    points = [(sent / 1e9 - start, took / 1e6, version) for sent, took, version in records if start <= sent / 1e9 < end]
    figures = {"requests": len(points), "failed": result["failed"], "swaps": len(swaps), "quiet_p999_ms": quiet,
               "loading_p999_ms": loading, "max_ms": max(ms for _, ms, _ in points)}
    text = picture.draw(
        f"{len(swaps)} swaps and a ResNet50: {len(points):,} requests, {result['failed']} failed", points,
        [(at / 1e9 - start, "") for at in swaps],
        [(0, quiet_end - start, f"quiet\np99.9 {quiet:.3g} ms", False),
         (complete - start, serves - start, f"a ResNet50 loads\np99.9 {loading:.3g} ms", True)],
        [f"Every request to one model, {RATE:,} a second. At each triangle another version of it takes over; the colour is that of",
         f"the version that answered. {bench.machine_line}."], end - start)
    return text, figures
