# SPDX-License-Identifier: Apache-2.0
"""A thousand small models in one server: its start, its memory, its requests; and ten models that swap every second."""
import contextlib
import os
import random
import shutil
import statistics
import struct
import time

from daemon import Daemon, Failed
from footprint import MIB, settled_pss
from messages import digits, predict_request
from table import Row

SETTINGS = 'update { engine: "openvino" isolation: "none" }'
SWAP_SETTINGS = 'update { engine: "openvino" keep_warm_ms: 100 guard_ms: 0 }'


def folders(daemon, name, source):
    """A model's only version, of links: they share the bytes on disk, as nothing else."""
    shutil.copytree(source, daemon.folder / name / "1", copy_function=os.link)


def write_requests(bench, names):
    """Requests for models at random, each as often as any other."""
    chance = random.Random(1)
    rows = digits()[:100]
    bodies = [predict_request(chance.choice(names), "input", chance.choice(rows)) for _ in range(4 * len(names))]
    path = bench.folder / "requests-many"
    path.write_bytes(b"".join(struct.pack("<I", len(body)) + body for body in bodies))
    return path


def ask(bench, daemon, names, seconds):
    client = bench.client(daemon, "grpc", connections=16)
    client.requests = write_requests(bench, names)
    return client.measure(seconds)


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def many_models(bench):
    """One server with all of them, one with a single one; the difference over their number is what a model takes."""
    count = 100 if bench.quick else 1000
    names = [f"m{number:04}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        alone = Daemon(bench.build, {names[0]: SETTINGS})
        folders(alone, names[0], bench.good[0])
        stack.enter_context(alone)
        one_pss, one_files = settled_pss(alone), open_files(alone)
        one = [ask(bench, alone, names[:1], bench.seconds(6))["per_second"] for _ in range(bench.rounds // 2)]
    many = Daemon(bench.build, {name: SETTINGS for name in names}, limit_s=300)
    for name in names:
        folders(many, name, bench.good[0])
    start = time.monotonic()
    with many:
        started = time.monotonic() - start
        serving = sum(model["serving"] == 1 for model in many.status()["models"])
        if serving != count:
            raise Failed(f"{serving} of {count} models serve")
        pss, files = settled_pss(many), open_files(many)
        per_second = [ask(bench, many, names, bench.seconds(6))["per_second"] for _ in range(bench.rounds // 2)]
        note = f"{count} copies of models/digits/2, engine openvino, isolation none"
        stop = time.monotonic()
    stopped = time.monotonic() - stop
    return [Row("models_start", f"{count} models: start", "s", [started], note=f"{note}; from exec until both ports are open"),
            Row("models_memory", f"{count} models: memory of each", "MB", [(pss - one_pss) / (count - 1) / 1e6],
                note=f"{note}; PSS without pages of files: {pss / MIB:.0f} MiB in all, {one_pss / MIB:.0f} MiB with one model"),
            Row("models_files", f"{count} models: open files of each", "", [(files - one_files) / (count - 1)],
                note=f"{note}; {files} in all"),
            Row("models_requests", f"{count} models: requests/s", "/s", per_second,
                note=f"{note}; random models over 16 connections; with one model: {statistics.median(one):.0f}/s"),
            Row("models_stop", f"{count} models: end", "s", [stopped], note=f"{note}; from SIGTERM until it has ended")]


class Swapped:
    """A model that gets a new version every second, or as soon as the one before it answers where that takes longer."""

    def __init__(self, bench, daemon, name, due):
        self.bench, self.daemon, self.name, self.due, self.number = bench, daemon, name, due, 1

    def step(self, now):
        """Called when it is due."""
        if self.number > 1 and not self.daemon.events.find(self.name, self.number, ("switched", "serving")):
            self.due = now + 0.02
            return
        if self.number > 1:
            self.daemon.remove(self.name, self.number - 1)
            self.daemon.events.forget(self.name, self.number - 2)
        self.number += 1
        self.daemon.put(self.name, self.number, self.bench.good[self.number % 2])
        self.due = max(self.due + 1, now)


def swapping_models(bench, seconds=None):
    """Ten models, each of which gets a new version every second, with requests to all of them all the time."""
    seconds = seconds or (15 if bench.quick else 300)
    names = [f"s{number}" for number in range(10)]
    daemon = Daemon(bench.build, {name: SWAP_SETTINGS for name in names}, ["--max_concurrent_loads=4"])
    for name in names:
        folders(daemon, name, bench.good[1])
    with daemon:
        client = bench.client(daemon, "grpc", connections=16, rate=500)
        client.requests = write_requests(bench, names)
        looks = []
        with client.running() as load:
            start = look = time.monotonic()
            models = [Swapped(bench, daemon, name, start + place / len(names)) for place, name in enumerate(names)]
            while (now := time.monotonic()) < start + seconds:
                if now >= look:
                    looks.append(daemon.pss_bytes())
                    look += seconds / 60
                model = min(models, key=lambda each: each.due)
                time.sleep(max(0.0, min(model.due, look) - time.monotonic()))
                if time.monotonic() >= model.due:
                    model.step(time.monotonic())
            for model in models:
                daemon.wait_serving(model.name, model.number)
            took = time.monotonic() - start
        figures = load.result()
    if figures["failed"]:
        raise Failed(f"{figures['failed']} requests failed: {figures['errors']}")
    swaps = sum(model.number - 1 for model in models)
    part = max(len(looks) // 3, 1)
    early, late = statistics.median(looks[:part]), statistics.median(looks[-part:])
    answered = len(figures["records"])
    took_us = sorted(took_ns / 1e3 for _, took_ns, _ in figures["records"])
    note = (f"{swaps} swaps of 10 models in {took:.0f} s ({swaps / took / len(names):.2f} a second each), {answered} requests, "
            f"0 failed, p99 {took_us[int(answered * 0.99)] / 1e3:.2f} ms; median of all processes' PSS without pages of files: "
            f"{early / MIB:.1f} MiB in the first third, {late / MIB:.1f} MiB in the last")
    return [Row("swaps_ten_models", "10 models swap: swaps a second of each", "/s", [swaps / took / len(names)], note=note),
            Row("memory_ten_models", "10 models swap: memory, end/start", "x", [late / early], limit=1.05, note=note, digits=4)]
