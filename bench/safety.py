# SPDX-License-Identifier: Apache-2.0
"""What looking after a version costs, and how soon it helps: probe, guard, replay, rollback, a server that was killed."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import statistics
import struct
import subprocess
import time

from batching import write_requests
from daemon import LIMIT_S, Daemon, Failed, UnixConnection
from messages import ROOT, predict_request
from swapping import calendar_ns
from table import Row

ENGINE = 'engine: "openvino"'
GOLDEN_RECORDS = 64
CONNECTIONS = 16


def everlit(bench, daemon, *arguments):
    """The operator's command; its answer."""
    done = subprocess.run([str(bench.build / "src/cmd/everlit"), *arguments, "--socket", daemon.socket],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"everlit {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


# ---- what the hot path pays

PAIR = {"off": f"update {{ {ENGINE} guard_ms: 0 probe {{ replay_records: 0 }} }}",
        "on": f"update {{ {ENGINE} guard_ms: 3600000 }}"}  # a version on trial: all of its answers are looked into


@contextlib.contextmanager
def on_cpu(number):
    """What the block starts runs on this one of our CPUs only; so do we, for the time being."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def hot_path(bench):
    """Requests per second with guard and reservoir, and without: two models of one server, in turn. The server has one CPU and
    the clients another: who shares one with whom would decide over far more than a per cent."""
    lost, pairs = [], []
    for turn in range(bench.rounds):
        figures = {name: [] for name in PAIR}
        with on_cpu(0), Daemon(bench.build, PAIR) as daemon:
            clients = {}
            for name in list(PAIR)[::1 if turn % 2 == 0 else -1]:
                for number in (1, 2):
                    daemon.put(name, number, bench.good[0])
                    daemon.wait_serving(name, number)
                clients[name] = bench.client(daemon, "grpc", CONNECTIONS)
                clients[name].requests = write_requests(bench, name)
            with on_cpu(1):
                for name in PAIR:
                    clients[name].measure(0.3)
                for pair in range(6 if bench.quick else 12):
                    for name in list(PAIR)[::1 if pair % 2 == 0 else -1]:
                        figures[name].append(clients[name].measure(0.3)["per_second"])
        lost.append(100 * (1 - sum(figures["on"]) / sum(figures["off"])))
        pairs += [100 * (1 - on / off) for on, off in zip(figures["on"], figures["off"])]
    error = statistics.stdev(pairs) / len(pairs) ** 0.5
    return [Row("guard_cost", "guard + replay: requests/s lost", "%", lost, limit=1,
                note=f"version on trial, default replay, against guard_ms: 0 and replay_records: 0; mean of {len(pairs)} pairs "
                     f"{statistics.mean(pairs):.2f} %, standard error {error:.2f} %; {CONNECTIONS} connections, server on one CPU")]


# ---- the way back

LIVE_CONFIG = 'update { engine: "test" max_latency_ratio: -1 probe { replay_records: 0 } }'


def behaves(bench, number, orders):
    """A version of the engine of the tests: it answers the probe, and requests as ordered."""
    folder = bench.folder / f"behaves-{number}-{orders}"
    if not folder.exists():
        shutil.copytree(ROOT / "models/half_plus_two/1", folder)
        (folder / "test_engine.txt").write_text(f"value={number}\nabove=4\n" + (f"run={orders}\n" if orders else ""))
    return folder


def taken_back(bench, orders, name):
    """A version that answers the probe and fails every live request: from the switch to it until requests go back to the old one."""
    took_ms = []
    for _ in range(bench.rounds):
        with Daemon(bench.build, {"m": LIVE_CONFIG}) as daemon:
            daemon.put("m", 1, behaves(bench, 1, ""))
            daemon.wait_serving("m", 1)
            client = bench.client(daemon, "grpc", 16)
            client.requests = bench.folder / "requests-m"
            body = predict_request("m", "input", [5.0, 6.0, 7.0, 8.0])
            client.requests.write_bytes(struct.pack("<I", len(body)) + body)
            with client.running() as load:
                time.sleep(0.2)
                daemon.put("m", 2, behaves(bench, 2, orders))
                back = daemon.events.wait("m", 2, "rolled_back")
                switched = daemon.wait_serving("m", 2)
                time.sleep(0.05)
            result = load.result()
        if result["failed"] or {version for _, _, version in result["records"]} != {1}:
            raise Failed(f"{result['failed']} requests failed, or version 2 was heard: {result['errors']}")
        took_ms.append((back["time_us"] - switched["time_us"]) / 1e3)
    return Row(f"taken_back_{orders}", f"switch → back, {name}", "ms", took_ms, limit=50,
               note="16 connections without pause; engine of the tests; from the switch, so with the first bad answers before the "
                    "verdict; no request failed and none was answered by the bad version")


def by_hand(bench):
    """`everlit rollback` under load while the old version is warm, and back by unpinning, again and again."""
    back_ms, told_ms, command_ms = [], [], []
    with Daemon(bench.build, {"digits": f"update {{ {ENGINE} keep_warm_ms: 600000 guard_ms: 0 }}"},
                ["--state_dir=" + str(bench.folder / "state-rollback")]) as daemon:
        for number in (1, 2):
            daemon.put("digits", number, bench.good[number % 2])
            daemon.wait_serving("digits", number)
        with bench.client(daemon, "grpc", connections=4, rate=2000).running() as load:
            for turn in range(4 * bench.rounds):
                daemon.events.forget("digits", 1)
                asked = time.monotonic_ns()
                if turn % 2 == 0:
                    post(daemon, "digits:rollback")
                    told_ms.append((time.monotonic_ns() - asked) / 1e6)
                    back_ms.append((daemon.wait_serving("digits", 1)["time_us"] * 1000 - calendar_ns() - asked) / 1e6)
                else:
                    everlit(bench, daemon, "rollback", "digits")
                    command_ms.append((time.monotonic_ns() - asked) / 1e6)
                    daemon.wait_serving("digits", 1)
                daemon.events.forget("digits", 2)
                post(daemon, "digits:unpin")
                daemon.wait_serving("digits", 2)
        result = load.result()
    if result["failed"] or {version for _, _, version in result["records"]} != {1, 2}:
        raise Failed(f"{result['failed']} requests failed, or one version was never heard: {result['errors']}")
    note = f"2,000 requests/s over 4 connections, 0 of {len(result['records'])} failed"
    return [Row("rollback", "rollback → route is back", "ms", back_ms, limit=5,
                note=f"{note}; old version warm; from the command's request on the admin socket until the publication"),
            Row("rollback_told", "  → answered, pin on the disk", "ms", told_ms, note=f"{note}; with --state_dir: a write and its fsync"),
            Row("rollback_command", "  `everlit rollback`, whole", "ms", command_ms,
                note=f"{note}; from its start to its end, most of which is loading libcurl's libraries")]


def post(daemon, what):
    connection = UnixConnection(daemon.socket, LIMIT_S)
    try:
        connection.request("POST", f"/admin/v1/models/{what}", body="{}")
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed(f"{what} answered {answer.status}: {text[:300]}")
        return json.loads(text)
    finally:
        connection.close()


# ---- the probe

def probing(bench, engine, name):
    """How much longer a version takes to serve because of golden records and replayed requests: two models of one server, in turn."""
    longer_ms, plain_ms = [], []
    settings = {"checked": f'update {{ engine: "{engine}" keep_warm_ms: 100 guard_ms: 0 }}',
                "plain": f'update {{ engine: "{engine}" keep_warm_ms: 100 guard_ms: 0 '
                         'probe { golden: "off" replay: "off" replay_records: 0 } }'}
    with Daemon(bench.build, settings) as daemon:
        for model in settings:
            daemon.put(model, 1, bench.good[0])
            daemon.wait_serving(model, 1)
        client = bench.client(daemon, "grpc", 1)
        client.requests = write_requests(bench, "checked")
        client.measure(0.3)
        source = with_golden(bench, daemon)
        for number in range(2, 2 + max(bench.rounds, 3)):
            took = {}
            for model in list(settings)[::1 if number % 2 == 0 else -1]:
                client.measure(0.1)  # the reservoir begins anew with each version
                complete = daemon.put(model, number, source)
                took[model] = daemon.wait_serving(model, number)["time_us"] / 1e3 - (complete * 1e9 + calendar_ns()) / 1e6
                daemon.remove(model, number - 1)
                daemon.wait_ended(model, number - 1)
            longer_ms.append(took["checked"] - took["plain"])
            plain_ms.append(took["plain"])
            verify_probed(daemon, number)
    return [Row(f"probing_{engine}", f"golden + replay: longer, {name}", "ms", longer_ms, limit=200,
                note=f"complete → serving with {GOLDEN_RECORDS} golden records and 64 recent requests, less the same without"),
            Row(f"probing_plain_{engine}", "  complete → serving without", "ms", plain_ms)]


def with_golden(bench, daemon):
    source = bench.folder / "digits-golden"
    if not source.exists():
        shutil.copytree(bench.good[0], source)
        (source / "assets.extra").mkdir(exist_ok=True)
        everlit(bench, daemon, "golden", "record", "checked", "--count", str(GOLDEN_RECORDS),
                "--out", str(source / "assets.extra/everlit_golden.tfrecord"))
    return source


def verify_probed(daemon, number):
    """That what is said to be measured was done."""
    text = daemon.events.wait("checked", number, "probed")["text"]
    if f"{GOLDEN_RECORDS} of {GOLDEN_RECORDS} golden records" not in text or "of 64 recent requests answered" not in text:
        raise Failed(f"version {number} was not probed as it should have been: {text}")


# ---- a server that was killed

def after_a_kill(bench):
    """SIGKILL to the front, started again at once with its state directory; until the first answer, over REST."""
    took_ms = []
    with contextlib.ExitStack() as stack:
        state = bench.folder / "state-kill"
        daemon = stack.enter_context(Daemon(bench.build, {"digits": f"update {{ {ENGINE} }}"}, [f"--state_dir={state}"]))
        daemon.put("digits", 1, bench.good[0])
        daemon.wait_serving("digits", 1)
        for _ in range(bench.rounds):
            time.sleep(0.5)
            killed = time.monotonic()
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
            daemon.spawn()
            took_ms.append((first_answer(daemon, bench.json_body) - killed) * 1e3)
    return Row("kill_to_answer", "SIGKILL → answers again, OpenVINO", "ms", took_ms, limit=300,
               note="started again by the bench as soon as it has ended; first answer of digits over REST")


def first_answer(daemon, body):
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=LIMIT_S)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/v1/models/digits:predict", body=body)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return time.monotonic()
        connection.close()
        if daemon.process.poll() is not None:
            raise Failed(f"everlitd ended with {daemon.process.returncode} when it was started again")
        time.sleep(0.001)
    raise Failed("no answer after a kill")
