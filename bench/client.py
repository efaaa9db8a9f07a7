# SPDX-License-Identifier: Apache-2.0
"""Load on a server, from the C program bench_load: as fast as answers come, or at a rate."""
import array
import contextlib
import json
import signal
import struct
import subprocess

from daemon import Failed


class Client:
    """One kind of load on one server."""

    def __init__(self, bench, daemon, kind, connections, rate, port):
        self.program, self.kind, self.connections, self.rate = bench.program("bench_load"), kind, connections, rate
        self.port = port or (daemon.grpc_port if kind == "grpc" else daemon.rest_port)
        self.folder = bench.folder
        self.requests = bench.folder / f"requests-{kind}"
        if not self.requests.exists():
            self.requests.write_bytes(b"".join(struct.pack("<I", len(body)) + body for body in bench.bodies[kind]))

    def start(self, seconds, log):
        return subprocess.Popen([str(part) for part in (self.program, self.kind, self.port, self.requests,
                                                        self.connections, self.rate, seconds, log)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)

    def measure(self, seconds, log="-"):
        """The figures of so many seconds: per_second, p50_us, p99_us, p999_us, max_us. No request may fail."""
        figures = finish(self.start(seconds, log))
        if figures["failed"]:
            raise Failed(f"{figures['failed']} requests of {self.kind} failed: {figures['errors']}")
        return figures

    def one_answer(self):
        """A file with the bytes that the server answers."""
        path = self.folder / f"{self.kind}.answer"
        self.measure(0.2, path)
        return path

    @contextlib.contextmanager
    def running(self):
        """Load while the block runs; result() of what is given has the figures and, for each right answer, in the order
        of ends, when it was sent (ns, monotonic clock), how long it took (ns) and which version answered."""
        load = Running(self.start(0, self.folder / "log"), self.folder / "log")
        try:
            yield load
        finally:
            load.end()


class Running:
    def __init__(self, process, log):
        self.process, self.log, self.figures = process, log, None

    def end(self):
        if self.figures is None:
            self.process.send_signal(signal.SIGTERM)
            self.figures = finish(self.process)

    def result(self):
        self.end()
        numbers = array.array("q", self.log.read_bytes())
        return {**self.figures, "records": list(zip(numbers[0::3], numbers[1::3], numbers[2::3]))}


def finish(process):
    out, errors = process.communicate()
    if process.returncode != 0:
        raise Failed(f"bench_load ended with {process.returncode}: {errors.strip()}")
    return {**json.loads(out), "errors": errors.strip()}
