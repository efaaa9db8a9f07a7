# SPDX-License-Identifier: Apache-2.0
"""The operating system's limits are an operator's, and no reason to fall silent."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from everlit import BUILD, LIMIT_S, MODELS, Server, digits, free_port, predictions, wait_for

CONFIG = """
model_config_list {
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow" update { engine: "openvino" } }
}
"""


def digits_server(*prefix):
    server = Server(config=CONFIG)
    server.prefix = list(prefix)
    server.put("digits", 1, MODELS / "digits" / "1")
    return server


def test_connections_leave_files_for_swaps_and_for_new_workers():
    with digits_server("prlimit", "--nofile=128:128") as server, contextlib.ExitStack() as crowd:
        for _ in range(200):
            crowd.enter_context(socket.create_connection(("localhost", server.rest_port), timeout=10))
        wait_for("the limit of connections", lambda: any(e["event"] == "connection_refused" for e in server.log_events()))
        server.put("digits", 2, MODELS / "digits" / "2")
        server.wait_serving("digits", 2)
        pid = server.version("digits", 2)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for("another worker", lambda: server.version("digits", 2)["pid"] not in (0, pid))
        assert not any(e["event"] == "accept_paused" for e in server.log_events())
        crowd.close()
        wait_for("an answer", lambda: answers(server))


def server_cpu_s(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(server):
    with contextlib.suppress(OSError):
        return server.rest("GET", "/v1/models/digits")[0] == 200
    return False


def test_a_limit_on_file_sizes_is_said_not_died_of():
    with digits_server("prlimit", "--fsize=65536") as server:
        version = server.wait_state("digits", 1, "quarantined")
        assert "File too large" in version["reason"], version


def test_a_limit_of_memory_without_room_for_threads_is_said_not_died_of():
    if LIMIT_S > 60:
        pytest.skip("a sanitizer takes more than that for itself")
    command = ["prlimit", "--data=20000000", BUILD / "src/cmd/everlitd", f"--port={free_port()}", "--admin_socket=none",
               "--model_name=digits", f"--model_base_path={MODELS / 'digits'}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode == 255 and "ulimit -d" in ended.stdout, ended


def test_a_scrape_with_tensorflow_is_cheap():
    server = Server(config=CONFIG.replace("openvino", "tensorflow"))
    server.put("digits", 1, MODELS / "digits" / "1")
    with server:
        predictions(server, digits()[0][:1])
        before_s = server_cpu_s(server)
        for _ in range(50):
            status, body = server.rest("GET", "/metrics")
            assert status == 200 and b"everlit_worker_resident_bytes{" in body
        # Reading smaps_rollup took 20 ms and more each time; the thread that does it answers no request meanwhile.
        assert server_cpu_s(server) - before_s < 0.5
