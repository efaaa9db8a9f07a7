#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what docs/benchmarks.md explains, prints the table, writes build/bench/results.json and draws the picture.

    bench/run.py BUILD_FOLDER [--quick] [--only PART[,PART]] [--show]

    --quick   about a minute: fewer and shorter rounds, for a look; the README's picture stays as it is
    --only    some parts: swap, load, speed, batching, safety, footprint, models, picture; and soak, which is in no other run: ten models swap
              every second for five minutes. The results of the other parts stay in the file as they are
    --show    measures nothing: the table of all parts in the file, each with when it was measured

Figures are figures, no tests: a target that is missed is said in its row, and the exit status is 0 all the same. It is 1
when something could not be measured at all.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import batching
import footprint
import many
import messages
import resnet
import safety
import speed
import swapping
import table
from client import Client
from daemon import Failed

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
RESULTS = OUT / "results.json"
README_PICTURE = ROOT / "docs" / "images" / "swap-latency.svg"
PARTS = ("swap", "load", "speed", "batching", "safety", "footprint", "models", "picture")
LONG_PARTS = ("soak",)


class Bench:
    """What every measurement needs: the build, the models, the requests, and how long it may take."""

    def __init__(self, build, quick, folder):
        self.build, self.quick, self.folder = build, quick, folder
        self.rounds = 2 if quick else 7
        self.swaps = 10 if quick else 50
        self.idle_s = 5 if quick else 30
        self.good = (ROOT / "models/digits/2", ROOT / "models/digits/1")  # by number % 2: even versions are digits/2
        self.resnet = None
        self.machine_line = ""
        rows = messages.digits()[:100]
        self.json_body = messages.predict_json(rows[0])
        self.bodies = {"grpc": [messages.predict_request("digits", "input", row) for row in rows],
                       "rest": [messages.predict_json(row) for row in rows]}
        self.floats = folder / "digits.f32"
        self.floats.write_bytes(messages.floats(rows))

    def seconds(self, full):
        """How long something lasts: as long as given, or a third of it in the quick version."""
        return full / 3 if self.quick else full

    def program(self, name):
        path = self.build / "bench" / name
        if not path.exists():
            raise Failed(f"{path} is not built: type `ninja -C {self.build}`")
        return path

    def client(self, daemon, kind, connections, rate=0, port=None):
        return Client(self, daemon, kind, connections, rate, port)


def sections(bench):
    """Part to (title, functions that give a row or rows each), in the order of the table."""
    return {
        "swap": ("a version comes", [lambda: swapping.first_answer(bench, "openvino", "OpenVINO", 250),
                                     lambda: swapping.first_answer(bench, "tensorflow", "TensorFlow", 400),
                                     lambda: swapping.first_answer(bench, "auto", "auto", None),
                                     lambda: swapping.the_switch(bench)]),
        "load": ("others, while a ResNet50 loads", [lambda: swapping.while_a_large_model_loads(bench, "tensorflow", "TF"),
                                                    lambda: swapping.while_a_large_model_loads(bench, "openvino", "OV")]),
        "speed": ("requests", [lambda: speed.against_bare_server(bench),
                               lambda: speed.over_the_engine(bench, "openvino", "OV", 100),
                               lambda: speed.over_the_engine(bench, "tensorflow", "TF", 100),
                               lambda: speed.round_trip(bench)]),
        "batching": ("batching", [lambda: batching.with_and_without(bench, 16), lambda: batching.with_and_without(bench, 64)]),
        "safety": ("a bad version, and the way back", [lambda: safety.taken_back(bench, "fail", "all answers fail"),
                                                       lambda: safety.taken_back(bench, "nan", "all are NaN"),
                                                       lambda: safety.by_hand(bench),
                                                       lambda: safety.probing(bench, "openvino", "OV"),
                                                       lambda: safety.probing(bench, "tensorflow", "TF"),
                                                       lambda: safety.after_a_kill(bench),
                                                       lambda: safety.hot_path(bench)]),
        "footprint": ("memory and rest", [lambda: footprint.memory_after_swaps(bench, "auto", "auto"),
                                          lambda: footprint.memory_after_swaps(bench, "tensorflow", "TF"),
                                          lambda: footprint.front_memory_and_idle(bench)]),
        "models": ("many models", [lambda: many.many_models(bench)]),
        "picture": ("the picture", []),
        "soak": ("ten models swap every second", [lambda: many.swapping_models(bench)]),
    }


def draw(bench):
    text, figures = swapping.story(bench)
    path = OUT / "swap-latency.svg"
    path.write_text(text)
    if not bench.quick:
        README_PICTURE.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, README_PICTURE)
    shown = path if bench.quick else README_PICTURE
    print(f"{shown.relative_to(ROOT)}: {figures['requests']:,} requests, {figures['failed']} failed, "
          f"{figures['swaps']} swaps")
    return figures


def measure(bench, part, title, measurements):
    """Prints the part's rows as they come. What is written of it."""
    start, rows, failed, out = time.monotonic(), [], [], {}
    facts = {name: value for name, value in table.machine().items() if name in ("time", "load_before")}
    print(table.section(title), flush=True)
    for one in measurements:
        try:
            measured = one()
        except (Failed, OSError, ValueError, subprocess.SubprocessError) as error:
            failed.append(str(error))
            print(f"not measured: {error}", flush=True)
            continue
        for row in measured if isinstance(measured, list) else [measured]:
            rows.append(row.data())
            print(row.line(), flush=True)
    if part == "picture":
        try:
            out["picture"] = draw(bench)
        except (Failed, OSError, ValueError) as error:
            failed.append(str(error))
            print(f"no picture: {error}")
    return {**facts, "quick": bench.quick, "took_s": round(time.monotonic() - start), "rows": rows, "not_measured": failed, **out}


def show(results):
    """The table of all that was measured, whenever that was."""
    print(f"{table.machine_line(results['machine'])}\n\n{table.head()}")
    for part, (title, _) in sections(None).items():
        if part in results["parts"]:
            done = results["parts"][part]
            print(table.section(f"{title} ({done['time']}, {done['took_s']} s{', quick' if done['quick'] else ''})"))
            for data in done["rows"]:
                print(table.row_of(data).line())
            for why in done["not_measured"]:
                print(f"not measured: {why}")


def main():
    parser = argparse.ArgumentParser(description="measures Everlit; see docs/benchmarks.md")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    parts = options.only.split(",")
    if not set(parts) <= {*PARTS, *LONG_PARTS}:
        parser.error(f"--only knows {', '.join(PARTS + LONG_PARTS)}")
    results = table.read_json(RESULTS)
    if options.show:
        if not results["parts"]:
            parser.error("nothing was measured yet")
        return show(results)
    start = time.monotonic()
    results["machine"] = table.machine()
    with tempfile.TemporaryDirectory(prefix="everlit-bench-") as folder:
        bench = Bench(options.build.resolve(), options.quick, pathlib.Path(folder))
        bench.machine_line = table.machine_line(results["machine"])
        if {"load", "picture"} & set(parts):
            bench.resnet = resnet.make()
        print(f"{bench.machine_line}\n{'a quick look; ' if options.quick else ''}"
              f"{'load of the machine before: ' + str(results['machine']['load_before'])}\n\n{table.head()}", flush=True)
        for part, (title, measurements) in sections(bench).items():
            if part in parts:
                results["parts"][part] = measure(bench, part, title, measurements)
                table.write_json(RESULTS, results)
    print(f"\nTargets are met or missed by the median. Rounds and notes: {RESULTS.relative_to(ROOT)}. "
          f"{time.monotonic() - start:.0f} s")
    sys.exit(1 if any(results["parts"][part]["not_measured"] for part in parts) else 0)


if __name__ == "__main__":
    main()
