# SPDX-License-Identifier: Apache-2.0
"""--alert_config_file: webhooks (signed, Slack's form, the real Alertmanager), programs, syslog; what a kill leaves; who hangs."""
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import urllib.request

import pytest

from digits import GOOD, digits_server
from everlit import BUILD, LIMIT_S, MODELS, ROOT, free_port, wait_for

SECRET = b"a secret that only two know"


class Receiver:
    """An HTTP server that takes alerts: each body that is signed as it should be. `answer` is the status that it gives."""

    def __init__(self, answer=200, secret=None, certificate=None):
        self.taken, self.wrong, self.answer = [], [], answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signature = self.headers.get("X-Everlit-Signature")
                wanted = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest() if secret else None
                if signature != wanted or self.headers["Content-Type"] != "application/json":
                    outer.wrong.append((self.path, dict(self.headers), body))
                elif outer.answer == 200:
                    outer.taken.append(json.loads(body))
                else:
                    outer.wrong.append("refused")
                self.send_response(outer.answer)
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket, scheme = context.wrap_socket(self.server.socket, server_side=True), "https"
        self.url = f"{scheme}://localhost:{self.server.server_port}/alerts"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, **fields):
        """The first alert with these fields."""
        return wait_for(lambda: f"an alert with {fields}; there are {self.taken}, and not taken: {self.wrong}",
                        lambda: next((a for a in self.taken if all(a.get(k) == v for k, v in fields.items())), None))


def alert_server(receivers, more=""):
    server = digits_server()
    (server.folder / "secret").write_bytes(SECRET + b"\n")
    (server.folder / "alerts.config").write_text('server: "ranker-7" %s %s' % (more, receivers.replace("$F", str(server.folder))))
    server.flags += [f"--alert_config_file={server.folder}/alerts.config", f"--state_dir={server.folder}/state"]
    return server


def put_bad(server, number):
    subprocess.run([MODELS / "broken" / "play.sh", "nan_outputs", server.base("digits"), str(number), "2"], check=True,
                   capture_output=True)


def test_a_refused_version_is_told_signed_once_and_so_is_its_end():
    with Receiver(secret=SECRET) as json_receiver, Receiver() as slack_receiver, \
            alert_server('receiver { name: "ops" webhook { url: "%s" hmac_secret_file: "$F/secret" } }'
                         'receiver { name: "chat" webhook { url: "%s" template: slack } }'
                         'receiver { name: "pager" least: critical webhook { url: "%s" template: slack } }'
                         % (json_receiver.url, slack_receiver.url, slack_receiver.url)) as server:
        server.wait_serving("digits", 1)
        put_bad(server, 2)
        alert = json_receiver.wait(event="quarantined")
        assert (alert["status"], alert["severity"], alert["server"], alert["model"], alert["version"], alert["count"]) == \
            ("firing", "warning", "ranker-7", "digits", 2, 1), alert
        assert alert["text"] == server.wait_state("digits", 2, "quarantined")["reason"]
        server.put("digits", 3, GOOD[1])
        server.wait_serving("digits", 3)
        over = json_receiver.wait(event="quarantined", status="resolved")
        assert over["version"] == 2 and over["starts_at"] == alert["starts_at"] and over["id"] != alert["id"], over
        wait_for(lambda: f"two texts: {slack_receiver.taken}", lambda: len(slack_receiver.taken) >= 2)
        texts = [body["text"] for body in slack_receiver.taken]
        assert texts[0].startswith("[warning] everlit on ranker-7: digits version 2: ") and alert["text"][:40] in texts[0]
        assert texts[1].startswith("[resolved] everlit on ranker-7: digits version 2: ") and len(texts) == 2, texts
        assert not json_receiver.wrong and len(json_receiver.taken) == 2


def test_repeats_are_one_alert_with_a_count():
    with Receiver() as receiver, alert_server('receiver { name: "ops" webhook { url: "%s" } }' % receiver.url,
                                              "group_seconds: 4") as server:
        server.wait_serving("digits", 1)
        for number in (2, 3, 4):
            put_bad(server, number)
        for number in (2, 3, 4):
            server.wait_state("digits", number, "quarantined")
        told = wait_for(lambda: f"all to be told: {receiver.taken}",
                        lambda: sum(a["count"] for a in receiver.taken) == 3 and receiver.taken)
        assert [a["count"] for a in told] in ([1, 2], [1, 1, 1]) and told[-1]["version"] in (2, 3, 4), told


def test_a_kill_loses_no_alert_and_the_next_start_tells_of_it():
    port = free_port()  # nobody is there at first
    with alert_server('receiver { name: "ops" webhook { url: "http://127.0.0.1:%d/" } }' % port) as server:
        server.wait_serving("digits", 1)
        put_bad(server, 2)
        server.wait_state("digits", 2, "quarantined")
        wait_for("the alert to be tried", lambda: any(e["event"] == "alert_not_told" for e in server.log_events()))
        with contextlib.closing(sqlite3.connect(f"file:{server.folder}/state/journal.db?mode=ro", uri=True)) as journal:
            wait_for("the alert to be on the disk", lambda: journal.execute("SELECT receiver FROM alert").fetchall() == [("ops",)])
        server.stop(signal.SIGKILL)
        server.log_path.unlink()
        with Receiver() as receiver:
            text = (server.folder / "alerts.config").read_text()
            (server.folder / "alerts.config").write_text(text.replace(f"http://127.0.0.1:{port}/", receiver.url))
            server.start()
            first = receiver.wait(event="quarantined")
            crash = receiver.wait(event="restarted_after_crash")
            assert receiver.taken.index(first) < receiver.taken.index(crash), "in their order"
            assert crash["severity"] == "warning" and crash["model"] == "" and "was killed" in crash["text"]
            server.stop()
            server.log_path.unlink()
            before = len(receiver.taken)
            server.start()
            server.wait_state("digits", 2, "quarantined")
            wait_for("the refused version again", lambda: len(receiver.taken) > before)
            assert [a["event"] for a in receiver.taken[before:]] == ["quarantined"], "nothing that was told before, and no crash"


def test_who_hangs_or_fails_delays_nobody():
    with socket.create_server(("127.0.0.1", 0)) as silent, Receiver(answer=503) as failing, Receiver() as good, \
            alert_server('receiver { name: "silent" webhook { url: "http://127.0.0.1:%d/" timeout_ms: 600000 } }'
                         'receiver { name: "failing" webhook { url: "%s" } }'
                         'receiver { name: "hangs" exec { argv: "/bin/sleep" argv: "600" timeout_ms: 600000 } }'
                         'receiver { name: "good" webhook { url: "%s" } }'
                         % (silent.getsockname()[1], failing.url, good.url)) as server:
        server.wait_serving("digits", 1)
        put_bad(server, 2)
        good.wait(event="quarantined")
        server.put("digits", 3, GOOD[1])
        server.wait_serving("digits", 3)
        good.wait(event="quarantined", status="resolved")
        failing.answer = 200
        wait_for("the one that failed to be asked again", lambda: len(failing.taken) == 2)
        # It ends at once all the same: __exit__ waits for that.


def test_a_program_gets_the_document_and_is_killed_with_its_children(tmp_path):
    took, child = tmp_path / "took", tmp_path / "child"
    script = tmp_path / "page"
    script.write_text(f'#!/bin/sh\ncat > "$1.part"\nmv "$1.part" "$1"\n')
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {child}.part\nmv {child}.part {child}\nwait\n")
    for path in (script, slow):
        path.chmod(0o755)
    with alert_server('receiver { name: "page" exec { argv: "%s" argv: "%s; touch $HOME" } }'
                      'receiver { name: "slow" exec { argv: "%s" timeout_ms: 2000 } }' % (script, took, slow)) as server:
        server.wait_serving("digits", 1)
        put_bad(server, 2)
        there = tmp_path / "took; touch $HOME"  # no shell has read it
        wait_for("the program to be run", there.exists)
        alert = json.loads(there.read_text())
        assert alert["event"] == "quarantined" and alert["model"] == "digits"
        wait_for("the slow one to start a child", child.exists)
        pid = int(child.read_text())
        wait_for("the child to be killed", lambda: not os.path.exists(f"/proc/{pid}")
                 or "State:\tZ" in open(f"/proc/{pid}/status").read())
        wait_for("that to be said", lambda: any(e["event"] == "alert_not_told" and "was killed" in e["reason"]
                                                for e in server.log_events()))


def test_syslog_gets_a_line_with_its_priority(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(LIMIT_S)
        with alert_server('receiver { name: "log" syslog { socket: "%s" } }' % (tmp_path / "log")) as server:
            server.wait_serving("digits", 1)
            put_bad(server, 2)
            line = log.recv(65536).decode()
            assert line.startswith(f"<{3 * 8 + 4}>") and f" everlitd[{server.process.pid}]: quarantined: digits version 2: " in line


def test_tls_is_verified(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    with Receiver(certificate=(cert, key)) as receiver, \
            alert_server('receiver { name: "trusts" webhook { url: "%s" ca_file: "%s" } }'
                         'receiver { name: "does-not" webhook { url: "%s" } }' % (receiver.url, cert, receiver.url)) as server:
        server.wait_serving("digits", 1)
        put_bad(server, 2)
        receiver.wait(event="quarantined")
        wait_for("the certificate to be refused", lambda: any(
            e["event"] == "alert_not_told" and e["receiver"] == "does-not" and "certificate" in e["reason"]
            for e in server.log_events()))
        assert len(receiver.taken) == 1


@contextlib.contextmanager
def alertmanager(folder):
    port = free_port()
    config = folder / "alertmanager.yml"
    config.write_text("route: { receiver: none }\nreceivers: [ { name: none } ]\n")
    log = open(folder / "alertmanager.log", "wb")
    process = subprocess.Popen([shutil.which("prometheus-alertmanager"), f"--config.file={config}",
                                f"--storage.path={folder}/alertmanager", f"--web.listen-address=127.0.0.1:{port}",
                                "--cluster.listen-address="], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"

        def alerts():
            try:
                with urllib.request.urlopen(url + "/api/v2/alerts", timeout=LIMIT_S) as answer:
                    return json.load(answer)
            except OSError:
                return None
        wait_for("Alertmanager to answer", lambda: alerts() is not None, pause=lambda: threading.Event().wait(0.1))
        yield url, alerts
    finally:
        process.terminate()
        process.wait(LIMIT_S)
        log.close()


@pytest.mark.skipif(shutil.which("prometheus-alertmanager") is None, reason="prometheus-alertmanager is not installed")
def test_alertmanager_holds_an_alert_until_it_is_over(tmp_path):
    with alertmanager(tmp_path) as (url, alerts), \
            alert_server('receiver { name: "am" webhook { url: "%s" template: alertmanager } }' % url) as server:
        server.wait_serving("digits", 1)
        put_bad(server, 2)
        held = wait_for(lambda: f"Alertmanager to hold it; log:\n{server.log_text()}", alerts)
        assert len(held) == 1 and held[0]["labels"] == {
            "alertname": "EverlitVersionQuarantined", "severity": "warning", "instance": "ranker-7", "job": "everlit",
            "model": "digits"}, held
        assert held[0]["annotations"]["version"] == "2" and held[0]["annotations"]["summary"].startswith("digits version 2: ")
        assert held[0]["status"]["state"] in ("active", "unprocessed")
        os.rename(server.base("digits"), server.folder / "away")  # a second one: the source
        wait_for(lambda: f"the source's alert: {alerts()}",
                 lambda: {a["labels"]["alertname"] for a in alerts()} >= {"EverlitSourceFailed"})
        os.rename(server.folder / "away", server.base("digits").with_name("digits.back"))
        os.rmdir(server.base("digits"))
        os.rename(server.models / "digits.back", server.models / "digits")
        wait_for(lambda: f"the source's alert to be over: {alerts()}",
                 lambda: "EverlitSourceFailed" not in {a["labels"]["alertname"] for a in alerts()})
        server.put("digits", 3, GOOD[1])
        server.wait_serving("digits", 3)
        wait_for(lambda: f"all to be over: {alerts()}\n{server.log_text()}", lambda: alerts() == [])


RULES = ROOT / "deploy" / "prometheus" / "everlit.rules.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed")
def test_the_rules_for_prometheus_do_what_they_say():
    done = subprocess.run(["promtool", "test", "rules", RULES.with_name("everlit.rules.test.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_for_prometheus_name_metrics_that_there_are():
    rules = RULES.read_text()
    named = set(re.findall(r"\beverlit_\w+", rules))
    assert len(named) >= 8 and "everlit_serving_version" in named
    tested = RULES.with_name("everlit.rules.test.yml").read_text()
    assert set(re.findall(r"alert: (\w+)", rules)) == set(re.findall(r"alertname: (\w+)", tested)), "each rule is tested"
    server = digits_server()
    server.config = server.config.replace("update {", 'logging_config { log_collector_config { filename_prefix: "$MODELS/log" }'
                                          ' sampling_config { sampling_rate: 1 } } update {', 1)
    with server:
        server.wait_serving("digits", 1)
        status, _ = server.rest("POST", "/v1/models/digits:predict", {"instances": [[0.0] * 784]})
        assert status == 200

        def missing():
            status, page = server.rest("GET", "/metrics")
            assert status == 200
            return named - set(re.findall(r"^(everlit_\w+)[{ ]", page.decode(), re.M))
        wait_for(lambda: f"metrics that the rules name: {missing()}", lambda: not missing())  # a log begins a moment after its first record


@pytest.mark.parametrize("text, said", [
    ('receiver { webhook { url: "http://x/" } }', "has no name"),
    ('receiver { name: "a" }', "none of webhook, exec and syslog"),
    ('receiver { name: "a" webhook { url: "ftp://x/" } }', "expected to start with https:// or http://"),
    ('receiver { name: "a" exec { argv: "page" } }', "the absolute path of a program"),
    ('receiver { name: "a" syslog {} } receiver { name: "a" syslog {} }', "two receivers with the name"),
    ('receiver { name: "a" webhook { url: "http://x/" hmac_secret_file: "/nowhere" } }', "/nowhere"),
    ('group_seconds: 1', "from 1 to 32"),
])
def test_a_mistake_ends_the_start(tmp_path, text, said):
    (tmp_path / "alerts.config").write_text(text)
    done = subprocess.run([BUILD / "src/cmd/everlitd", "--port=0", f"--grpc_socket_path={tmp_path}/s", "--admin_socket=none",
                           f"--model_base_path={tmp_path}", f"--alert_config_file={tmp_path}/alerts.config"],
                          capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 255 and said in done.stdout, done.stdout + done.stderr


def everlit(server, *arguments):
    return subprocess.run([BUILD / "src/cmd/everlit", "--socket", server.socket, *arguments], capture_output=True, text=True,
                          timeout=LIMIT_S)


def test_each_attempt_has_a_report_in_the_journal_and_as_a_page():
    with alert_server('receiver { name: "log" syslog { } }') as server:
        server.wait_serving("digits", 1)
        assert server.rest("POST", "/v1/models/digits:predict", {"instances": [[0.0] * 784]})[0] == 200
        put_bad(server, 2)
        reason = server.wait_state("digits", 2, "quarantined")["reason"]
        server.put("digits", 3, GOOD[1])
        server.wait_serving("digits", 3)
        wait_for("the report of version 3", lambda: everlit(server, "report", "digits", "3").returncode == 0)
        good, bad, first = [json.loads(line) for line in everlit(server, "report", "digits", "--json").stdout.splitlines()]
        assert [r["decision"] for r in (good, bad, first)] == ["switched", "quarantined", "serving"]
        assert (bad["version"], bad["why"], bad["old"]["version"], bad["old"]["requests"]) == (2, reason, 1, 1), bad
        assert good["engine"] == "openvino" and good["old"]["version"] == 1 and good["new"]["resident_bytes"] > 1e6, good
        assert len(good["digest"]) == 64 and good["bytes"] > 1000 and good["probe"] and good["by"] == "everlit", good
        assert {"verifying", "loading", "probing"} <= set(good["phases_ms"]) and good["phases_ms"]["loading"] > 0, good
        assert [r["trigger"] for r in (good, bad, first)] == ["a new version in the base path"] * 2 + ["the server's start"]
        memory = good["memory"]
        assert memory["peak_bytes"] >= 0.9 * good["new"]["resident_bytes"] and memory["after_bytes"] > memory["before_bytes"] > 1e6, good
        escaped = server.admin("/admin/v1/models/dig%69ts/reports?version=2").splitlines()
        assert [json.loads(line) for line in escaped] == [bad]
        page = everlit(server, "report", "digits", "2").stdout
        assert page.startswith("digits version 2: quarantined\n") and "SHA-256 " + bad["digest"] in " ".join(page.split())
        words = " ".join(page.split())
        assert reason in words and "old version 1, serving:" in words and "1 requests answered" in words, page
        assert max(len(line) for line in page.splitlines() if " /" not in line and bad["digest"] not in line) <= 80, page
        assert len(everlit(server, "report", "digits", "--all").stdout.split("\n\n")) == 3
        assert everlit(server, "report", "digits", "77").returncode == 1 and everlit(server, "report").returncode == 2
        with contextlib.closing(sqlite3.connect(f"file:{server.folder}/state/journal.db?mode=ro", uri=True)) as journal:
            kept = wait_for("the journal to have them", lambda: (rows := journal.execute(
                "SELECT details FROM event WHERE details != '' ORDER BY id").fetchall()) and len(rows) == 3 and rows)
        assert [json.loads(row[0]) for row in kept] == [first, bad, good]
