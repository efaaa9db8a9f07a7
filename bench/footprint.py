# SPDX-License-Identifier: Apache-2.0
"""What Everlit holds and takes when it has nothing to do: memory after many swaps, the front alone, an idle server."""
import statistics
import time

from daemon import Daemon
from table import Row

MIB = 2 ** 20
SHORT_WARM = "keep_warm_ms: 100 guard_ms: 0"


def settled_pss(daemon):
    """Memory of all processes: the median of five looks, because the kernel frees a page or two later."""
    looks = []
    for _ in range(5):
        time.sleep(0.2)
        looks.append(daemon.pss_bytes())
    return statistics.median(looks)


def swap_on(daemon, number, good):
    """Version `number` takes over from the one before, whose worker ends."""
    daemon.put("digits", number, good[number % 2])
    daemon.wait_serving("digits", number)
    daemon.remove("digits", number - 1)
    daemon.wait_ended("digits", number - 1)


def memory_after_swaps(bench, engine, name):
    """All processes after many swaps, as a multiple of what they held after two."""
    with Daemon(bench.build, {"digits": f'update {{ engine: "{engine}" {SHORT_WARM} }}'}) as daemon:
        daemon.put("digits", 1, bench.good[1])
        daemon.wait_serving("digits", 1)
        with bench.client(daemon, "grpc", connections=2, rate=500).running() as load:
            for number in range(2, 4):
                swap_on(daemon, number, bench.good)
            early = settled_pss(daemon)
            for number in range(4, bench.swaps + 2):
                swap_on(daemon, number, bench.good)
            late = settled_pss(daemon)
        load.result()
    note = f"sum of PSS without pages of files: {early / MIB:.1f} MiB after 2 swaps, {late / MIB:.1f} MiB after {bench.swaps}, 500 requests/s all the time"
    return Row(f"memory_swaps_{engine}", f"memory, {bench.swaps} swaps / 2, {name}", "x", [late / early], limit=1.05, note=note, digits=4)


def front_memory_and_idle(bench):
    """The front's own memory after load, and what all processes take of a core when nobody asks."""
    with Daemon(bench.build, {"digits": 'update { engine: "auto" }'}) as daemon:
        daemon.put("digits", 1, bench.good[0])
        daemon.wait_serving("digits", 1)
        fresh = daemon.front_resident_bytes() / 1e6
        for kind in ("grpc", "rest"):
            bench.client(daemon, kind, connections=16).measure(bench.seconds(3))
        loaded = daemon.front_resident_bytes() / 1e6
        time.sleep(2)  # what the load woke goes back to sleep
        before, start = daemon.cpu_s(), time.monotonic()
        time.sleep(bench.idle_s)
        percent = (daemon.cpu_s() - before) / (time.monotonic() - start) * 100
        processes = len(daemon.processes())
    return [Row("front_memory", "front's memory, after load", "MB", [loaded], limit=20,
                note=f"resident; {fresh:.1f} MB before the first request"),
            Row("idle_cpu", "idle, all processes, of a core", "%", [percent], limit=0.5,
                note=f"{processes} processes over {bench.idle_s} s")]
