# SPDX-License-Identifier: Apache-2.0
"""Rows of figures: how they are judged, printed (80 columns) and written as JSON."""
import json
import os
import pathlib
import platform
import statistics
import time

WIDTH = 80


class Row:
    """One figure, measured in several rounds. limit and least are targets: at most, at least; none: for orientation."""

    def __init__(self, key, name, unit, rounds, limit=None, least=None, note="", digits=3):
        assert rounds, key
        self.key, self.name, self.unit, self.rounds = key, name, unit, list(rounds)
        self.limit, self.least, self.note, self.digits = limit, least, note, digits

    median = property(lambda self: statistics.median(self.rounds))

    def met(self):
        """Whether the median meets the target; None without one."""
        if self.limit is not None:
            return self.median <= self.limit
        if self.least is not None:
            return self.median >= self.least
        return None

    def number(self, value):
        """With as many digits as mean something: 3, and never an exponent."""
        if value == 0:
            return "0"
        places = max(self.digits - 1 - decade(abs(value)), 0)
        return f"{value:,.{places}f}".rjust(1)

    def target(self):
        if self.met() is None:
            return ""
        sign, bound = ("≤", self.limit) if self.limit is not None else ("≥", self.least)
        return f"target {sign} {bound:g}{self.unit if self.unit in ('x', '%') else ''}: {'met' if self.met() else 'missed'}"

    def line(self):
        value = self.number(self.median) + ("" if self.unit in ("x", "%") else " ") + self.unit
        spread = [self.number(end) for end in (min(self.rounds), max(self.rounds))] if len(self.rounds) > 1 else ["", ""]
        return f"{self.name:<31}{value:>10}{spread[0]:>8}{spread[1]:>8} {self.target():>21}".rstrip()

    def data(self):
        out = {"key": self.key, "name": self.name, "unit": self.unit, "median": self.median, "min": min(self.rounds),
               "max": max(self.rounds), "rounds": self.rounds, "note": self.note, "digits": self.digits}
        if self.met() is not None:
            out.update(target={"at_most": self.limit} if self.limit is not None else {"at_least": self.least}, met=self.met())
        return out


def decade(value):
    """The power of ten of the first digit that counts."""
    return int(f"{value:e}".partition("e")[2])


def head():
    return f"{'':<31}{'median':>10}{'min':>8}{'max':>8}"


def section(title):
    return f"-- {title} ".ljust(WIDTH, "-")


def machine():
    """The machine that the figures are of."""
    model = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory / 2 ** 30, 1),
            "kernel": platform.release(), "system": system_name(), "load_before": round(os.getloadavg()[0], 2),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def system_name():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def machine_line(facts):
    cores = f"{facts['cores']} core{'s' if facts['cores'] != 1 else ''}"
    return f"{facts['cpu']}, {cores}, {facts['memory_gib']:g} GiB, Linux {facts['kernel']}"


def row_of(data):
    """The row that data() told of."""
    target = data.get("target", {})
    return Row(data["key"], data["name"], data["unit"], data["rounds"], target.get("at_most"), target.get("at_least"), data["note"],
               data["digits"])


def read_json(path):
    """What write_json() wrote; nothing where nobody has, or an earlier bench that knew no parts."""
    results = json.loads(path.read_text()) if path.exists() else {}
    return results if "parts" in results else {"parts": {}}


def write_json(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    partial.rename(path)
