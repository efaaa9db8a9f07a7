# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests have in common: a running everlitd, model folders that change, real clients.

Nothing here sleeps for luck: waiting is for a condition of the server's own status, with a limit that only a failure meets.
"""
import collections
import contextlib
import http.client
import json
import multiprocessing
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import grpc
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "clients"))
from everlit_protos import (  # noqa: E402
    get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc, ndarray, predict_pb2,
    prediction_service_pb2_grpc, tensor_proto)

BUILD = pathlib.Path(os.environ.get("EVERLIT_BUILD", ROOT / "build" / "release"))
MODELS = ROOT / "models"
# Sanitizers and a loaded machine make everything slower; only a test that fails waits this long.
LIMIT_S = float(os.environ.get("EVERLIT_TEST_LIMIT_S", "60"))


def digits():
    """Held-out digits: float32 [250, 784] as models take them, and what they are."""
    pixels = np.fromfile(ROOT / "test/data/digits_test.u8", dtype=np.uint8).reshape(-1, 784)
    labels = np.loadtxt(ROOT / "test/data/digits_test.labels", dtype=np.int64)
    return pixels.astype(np.float32) / 16, labels


def wait_for(what, condition, limit_s=None, pause=lambda: time.sleep(0.005)):
    """Returns the first true value of condition(), asked after each pause(); fails with what() of the last look."""
    end = time.monotonic() + (limit_s or LIMIT_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit_s or LIMIT_S} s for {what() if callable(what) else what}")
        pause()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    """An everlitd with its own scratch folder. `folder` holds base paths; models are put there by put()."""

    def __init__(self, *flags, config=None, env=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="everlit-test-"))
        self.models = self.folder / "models"
        self.models.mkdir()
        self.socket = str(self.folder / "admin.sock")
        self.flags = list(flags)
        self.config = config
        self.env = env or {}
        self.prefix = []  # a command that runs everlitd, such as prlimit
        self.process = None
        self.follower = None  # a connection on which the server tells its events
        self.log_path = self.folder / "log"

    # ---- models

    def base(self, model):
        path = self.models / model
        path.mkdir(exist_ok=True)
        return path

    def put(self, model, version, source):
        """Copies a version directory beside, then renames it in: it appears whole, at once."""
        hidden = self.folder / f"incoming-{model}-{version}"
        shutil.copytree(source, hidden, symlinks=True)
        os.rename(hidden, self.base(model) / str(version))

    def put_test(self, model, number, orders=""):
        """A version of the test engine, which answers with the sum of a row, and its number; orders as in src/engine/test_engine.c."""
        scratch = self.folder / f"scratch-{model}-{number}"
        shutil.copytree(MODELS / "half_plus_two" / "1", scratch, copy_function=shutil.copyfile)
        (scratch / "test_engine.txt").write_text(f"value={number}\n{orders}")
        self.put(model, number, scratch)

    def remove(self, model, version):
        doomed = self.folder / f"outgoing-{model}-{version}-{time.monotonic_ns()}"
        os.rename(self.base(model) / str(version), doomed)
        shutil.rmtree(doomed)

    # ---- life

    def start(self, wait=True):
        command = [*self.prefix, str(BUILD / "src/cmd/everlitd"), f"--port={free_port()}",
                   f"--rest_api_port={free_port()}", f"--admin_socket={self.socket}", "--log_format=json", *self.flags]
        if self.config is not None:
            path = self.folder / "models.config"
            path.write_text(self.config.replace("$MODELS", str(self.models)))
            command.append(f"--model_config_file={path}")
        self.log, self.follower = open(self.log_path, "ab"), None
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, **self.env})
        if wait:
            wait_for(lambda: f"the server to listen; its log:\n{self.log_text()}", self.listening)
        return self

    def listening(self):
        if self.process.poll() is not None:
            raise AssertionError(f"everlitd ended with {self.process.returncode}; its log:\n{self.log_text()}")
        for event in self.log_events():
            if event["event"] == "listening":
                self.grpc_port, self.rest_port = event["grpc_port"], event["rest_api_port"]
                return True
        return False

    def log_text(self):
        return self.log_path.read_text(errors="replace")[-8000:]

    def log_events(self):
        for line in self.log_path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    yield event

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns the exit status."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"everlitd did not end after signal {number}; its log:\n{self.log_text()}") from None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None:
                print(f"---- log of everlitd\n{self.log_text()}\n---- status\n{self.try_status()}", file=sys.stderr)
            if self.process is not None:
                status = self.stop()
                if kind is None:
                    assert status == 0, f"everlitd ended with {status}; its log:\n{self.log_text()}"
        finally:
            if self.follower is not None:
                self.follower.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- what it says of itself

    def wait(self, what, condition, limit_s=None):
        """wait_for() a condition of the status: looked at when the server tells an event, so that waiting costs it nothing."""
        if self.follower is None:
            self.follower = UnixConnection(self.socket)
            self.follower.request("GET", "/admin/v1/events?follow=1")

        def pause():
            # Not every change is an event, and some come a moment after theirs.
            if select.select([self.follower.sock], [], [], 0.05)[0] and not self.follower.sock.recv(1 << 20):
                raise AssertionError(f"everlitd ended meanwhile; its log:\n{self.log_text()}")
        return wait_for(what, condition, limit_s, pause)

    def admin(self, path):
        connection = UnixConnection(self.socket)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    def status(self):
        return json.loads(self.admin("/admin/v1/status"))

    def try_status(self):
        with contextlib.suppress(Exception):
            return json.dumps(self.status(), indent=1)
        return "cannot be had"

    def events(self):
        return [json.loads(line) for line in self.admin("/admin/v1/events?after=0").splitlines()]

    def model(self, name):
        return next(m for m in self.status()["models"] if m["name"] == name)

    def version(self, name, number):
        return next((v for v in self.model(name)["versions"] if v["version"] == number), None)

    def wait_state(self, name, number, *states, limit_s=None):
        """Waits until a version is in one of the states; returns what the status says of it."""
        last = [None]

        def look():
            last[0] = self.version(name, number)
            return last[0] if last[0] and last[0]["state"] in states else None
        return self.wait(lambda: f"{name} version {number} to be {' or '.join(states)}; it is {last[0]};"
                                 f" log:\n{self.log_text()}", look, limit_s)

    def wait_serving(self, name, number, limit_s=None):
        return self.wait(lambda: f"{name} version {number} to serve; {self.try_status()}\n{self.log_text()}",
                         lambda: self.model(name)["serving"] == number, limit_s)

    # ---- clients

    def channel(self):
        return grpc.insecure_channel(f"localhost:{self.grpc_port}", options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])

    def rest(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("localhost", self.rest_port, timeout=LIMIT_S)
        connection.request(method, path, body=json.dumps(body) if isinstance(body, (dict, list)) else body,
                           headers=headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def predict_request(model, inputs, signature="", version=None, outputs=()):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tensor_proto(value))
    request.output_filter.extend(outputs)
    return request


ASK_EVERY_S = 0.04  # each client, so that 16 of them leave the two cores of a small machine to what is tested


class Clients:
    """Clients that ask again and again, from several threads, over gRPC and REST, and check every answer. In a process of
    their own (see Traffic), so that they and the test do not wait for each other's turn in one interpreter."""

    def __init__(self, ports, inputs, expected, model, versions, done, total):
        self.ports, self.inputs, self.expected, self.model, self.versions = ports, inputs, expected, model, versions
        self.done, self.total_answers = done, total
        self.answers, self.failed, self.wrong = collections.Counter(), [], []
        self.lock = threading.Lock()

    def run_all(self, kinds):
        threads = [threading.Thread(target=self.run, args=(getattr(self, kind), i)) for i, kind in enumerate(kinds)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def run(self, kind, number):
        for ask in kind(self.versions[number % len(self.versions)]):
            i = number
            turn = time.monotonic() + ASK_EVERY_S * i / 16  # they do not all ask at once
            while not self.done.is_set():
                time.sleep(max(turn - time.monotonic(), 0))
                turn = max(turn, time.monotonic()) + ASK_EVERY_S
                i = (i + 1) % len(self.inputs)
                try:
                    self.check(i, ask(i))
                except Exception as error:  # every failure counts, whatever it is
                    with self.lock:
                        self.failed.append(f"{kind.__name__} {number}, input {i}: {error!r}")

    def grpc_client(self, version):
        requests = [predict_request(self.model, {"input": x[None]}, version=version) for x in self.inputs]
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
        with grpc.insecure_channel(f"localhost:{self.ports[0]}", options=options) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

            def ask(i):
                answer = stub.Predict(requests[i], timeout=LIMIT_S)
                return np.array(answer.outputs["prediction"].float_val, np.float32), answer.model_spec.version.value
            yield ask

    def rest_client(self, version):
        path = f"/v1/models/{self.model}{'' if version is None else f'/versions/{version}'}:predict"
        bodies = [json.dumps({"instances": [x.tolist()]}) for x in self.inputs]
        connection = http.client.HTTPConnection("localhost", self.ports[1], timeout=LIMIT_S)

        def ask(i):
            connection.request("POST", path, body=bodies[i])
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise AssertionError(f"{answer.status} {text[:500]}")
            return np.array(json.loads(text)["predictions"][0], np.float32), version
        yield ask
        connection.close()

    def check(self, i, answer):
        prediction, said = answer
        candidates = self.expected if said is None else {said: self.expected.get(said)}
        version = next((v for v, table in candidates.items()
                        if table is not None and np.allclose(prediction, table[i], rtol=1e-4, atol=1e-5)), None)
        with self.lock:
            if version is None:
                self.wrong.append(f"input {i}: {prediction}, said to be of version {said}")
            else:
                self.answers[version] += 1
                self.total_answers.value += 1


def run_clients(ports, inputs, expected, model, versions, kinds, done, total, results):
    clients = Clients(ports, inputs, expected, model, versions, done, total)
    clients.run_all(kinds)
    results.put((clients.answers, clients.failed[:1000], len(clients.failed), clients.wrong[:1000], len(clients.wrong)))


class Traffic:
    """Clients on a server for the time of a `with`. `expected` maps a version to the predictions that it alone may give
    for `inputs`; `versions` are shared out among the clients (None: whichever serves). Afterwards: `answers` by version,
    `failed` and `wrong` as texts."""

    def __init__(self, server, inputs, expected, model="digits", versions=(None,), grpc_threads=8, rest_threads=8):
        self.server, self.inputs, self.expected, self.model, self.versions = server, inputs, expected, model, versions
        self.kinds = ["grpc_client"] * grpc_threads + ["rest_client"] * rest_threads
        context = multiprocessing.get_context("spawn")
        self.done, self.total_answers, self.results = context.Event(), context.Value("Q", lock=False), context.Queue()
        self.context = context

    def __enter__(self):
        self.process = self.context.Process(target=run_clients, daemon=True, args=(
            (self.server.grpc_port, self.server.rest_port), self.inputs, self.expected, self.model, self.versions, self.kinds, self.done,
            self.total_answers, self.results))
        self.process.start()
        self.wait_more(1)
        return self

    def __exit__(self, *unused):
        self.done.set()
        self.answers, self.failed, self.failures, self.wrong, self.wrongs = self.results.get(timeout=4 * LIMIT_S)
        self.process.join(LIMIT_S)

    def total(self):
        return self.total_answers.value

    def wait_more(self, count):
        """Until `count` more answers came: traffic flows now."""
        before = self.total()
        wait_for(f"{count} more answers; {before} came until then", lambda: self.total() >= before + count)

    def assert_clean(self):
        assert not self.failed, f"{self.failures} requests failed, first: {self.failed[:3]}"
        assert not self.wrong, f"{self.wrongs} wrong answers, first: {self.wrong[:3]}"
        assert self.total() > 0


def predictions(server, inputs, model="digits", version=None):
    """What a server answers to each input, asked one by one over gRPC."""
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return [np.array(stub.Predict(predict_request(model, {"input": x[None]}, version=version), timeout=LIMIT_S)
                         .outputs["prediction"].float_val, np.float32) for x in inputs]


__all__ = ["BUILD", "LIMIT_S", "MODELS", "ROOT", "Server", "Traffic", "UnixConnection", "digits", "free_port", "get_model_metadata_pb2",
           "get_model_status_pb2", "grpc", "model_service_pb2_grpc", "np", "predict_pb2", "predict_request",
           "ndarray", "prediction_service_pb2_grpc", "predictions", "tensor_proto", "wait_for"]
