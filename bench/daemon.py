# SPDX-License-Identifier: Apache-2.0
"""A running everlitd with a folder of models that changes, what it says of itself, and what its processes hold.

Nothing here polls while something is measured: events come over the admin socket as they happen.
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

LIMIT_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """What the bench asked for did not happen; the text says what."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Events:
    """The daemon's events, read by a thread as they come: dictionaries with event, model, version, text, time_us."""

    def __init__(self, path):
        self.connection = UnixConnection(path, None)
        self.connection.request("GET", "/admin/v1/events?after=0&follow=1")
        self.stream = self.connection.getresponse()
        self.seen, self.news = {}, threading.Condition()  # (model, version) to its events
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
            for line in iter(self.stream.readline, b""):
                event = json.loads(line)
                with self.news:
                    self.seen.setdefault((event["model"], event["version"]), []).append(event)
                    self.news.notify_all()

    def wait(self, model, version, *names):
        """The first event of one of these names about that version, seen or to come."""
        with self.news:
            event = self.news.wait_for(lambda: self.find(model, version, names), LIMIT_S)
        if event is None:
            raise Failed(f"waited {LIMIT_S} s for {model} version {version} to be {' or '.join(names)}")
        return event

    def find(self, model, version, names=()):
        """The first event of one of these names about that version that was seen; a version that was refused is Failed."""
        for event in self.seen.get((model, version), ()):
            if event["event"] in names:
                return event
            if event["event"] == "quarantined":
                raise Failed(f"{model} version {version} was refused: {event['text']}")
        return None

    def forget(self, model, version):
        """Of a version that is over: a long run has thousands."""
        with self.news:
            self.seen.pop((model, version), None)

    def close(self):
        with contextlib.suppress(OSError, AttributeError):
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.connection.close()


class Daemon:
    """An everlitd over a folder of its own; `models` maps a name to the text inside its `config { }`."""

    def __init__(self, build, models, flags=(), limit_s=LIMIT_S):
        self.build, self.flags, self.limit_s = build, list(flags), limit_s
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="everlit-bench-", dir=build.parent))
        self.socket = os.path.join(tempfile.mkdtemp(prefix="everlit-bench-"), "admin.sock")  # short: sockets' paths are
        configs = []
        for name, text in models.items():
            (self.folder / name).mkdir()
            configs.append(f'  config {{ name: "{name}" base_path: "{self.folder / name}" '
                           f'model_platform: "tensorflow" {text} }}\n')
        (self.folder / "models.config").write_text("model_config_list {\n" + "".join(configs) + "}\n")
        self.process = self.events = None

    # ---- models

    def put(self, model, version, source):
        """Links the files of a version beside, then renames it in: it appears whole. Returns the time of that, in s."""
        hidden = self.folder / f"incoming-{model}-{version}"
        shutil.copytree(source, hidden, copy_function=os.link)
        place = self.folder / model / str(version)
        now = time.monotonic()
        os.rename(hidden, place)
        return now

    def remove(self, model, version):
        doomed = self.folder / f"outgoing-{model}-{version}"
        os.rename(self.folder / model / str(version), doomed)
        shutil.rmtree(doomed)

    # ---- life

    def __enter__(self):
        self.grpc_port, self.rest_port = free_port(), free_port()
        self.log = open(self.folder / "log", "wb")
        self.spawn()
        try:
            end = time.monotonic() + self.limit_s
            while not self.listens():
                if self.process.poll() is not None:
                    raise Failed(f"everlitd ended with {self.process.returncode}; its log:\n{self.log_text()}")
                if time.monotonic() > end:
                    raise Failed(f"everlitd does not listen; its log:\n{self.log_text()}")
                time.sleep(0.01)
            self.events = Events(self.socket)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def spawn(self):
        self.process = subprocess.Popen(
            [str(self.build / "src/cmd/everlitd"), f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}",
             f"--admin_socket={self.socket}", f"--model_config_file={self.folder / 'models.config'}", *self.flags],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.grpc_port), 1).close()
            socket.create_connection(("127.0.0.1", self.rest_port), 1).close()
            self.status()  # last: while a thousand models load, each status takes time from them
            return True
        return False

    def __exit__(self, kind, value, trace):
        if isinstance(value, Failed):
            value.args = (f"{value.args[0]}\nend of everlitd's log:\n{self.log_text()}",)
        if self.events is not None:
            self.events.close()
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(os.path.dirname(self.socket), ignore_errors=True)

    def log_text(self):
        lines = (self.folder / "log").read_text(errors="replace").splitlines()[-8:]
        return "\n".join(f"  {line:.300}" for line in lines)

    def status(self):
        connection = UnixConnection(self.socket, LIMIT_S)
        try:
            connection.request("GET", "/admin/v1/status")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def wait_serving(self, model, version):
        return self.events.wait(model, version, "switched", "serving")

    def wait_ended(self, model, version):
        return self.events.wait(model, version, "ended")

    # ---- processes

    def processes(self):
        """Process ids: the front first, then the zygotes and their workers."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    parents[int(entry)] = int(stat_fields(int(entry))[1])
        found = [self.process.pid]
        for pid in found:  # grows while it is walked: children, then their children
            found += sorted(child for child, parent in parents.items() if parent == pid)
        return found

    def pss_bytes(self):
        """Memory of all processes without pages of files; what several share counts once. Pages of the engines' libraries
        are left out because their share depends on who else on the machine has them open, and swaps add none."""
        return sum(rollup_bytes(pid, "Pss_Anon") + rollup_bytes(pid, "Pss_Shmem") for pid in self.processes())

    def front_resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise Failed("everlitd has no VmRSS")

    def cpu_s(self):
        """Processor time that all processes have taken, user and kernel, with the kernel's own ns where it has them."""
        return sum(cpu_s(pid) for pid in self.processes())


def stat_fields(pid):
    """The fields of /proc/PID/stat after the name: state first."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def rollup_bytes(pid, field):
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # a process may end while we look
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    return 0


def cpu_s(pid):
    with contextlib.suppress(OSError):
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9
    with contextlib.suppress(OSError):
        fields = stat_fields(pid)
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return 0.0


def wait_for_port(port, process):
    """Until somebody listens there."""
    end = time.monotonic() + LIMIT_S
    while True:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), 1).close()
        if process.poll() is not None or time.monotonic() > end:
            raise Failed(f"nobody listens on port {port}: {process.args[0]} ended with {process.poll()}")
        time.sleep(0.005)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
