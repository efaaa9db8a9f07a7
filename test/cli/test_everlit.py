# SPDX-License-Identifier: Apache-2.0
"""The command everlit as an operator types it: against a real everlitd, against none, and on files."""
import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
from everlit import BUILD, LIMIT_S, MODELS, ROOT, Server, np, wait_for  # noqa: E402

EVERLIT = str(BUILD / "src/cmd/everlit")
COMMANDS = ["status", "events", "history", "config", "rollback", "pin", "unpin", "load", "unload", "quarantine", "forgive", "retry", "promote", "abort",
            "golden", "inspect", "predict", "report", "version"]
CONFIG = """
model_config_list {
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow" }
  config { name: "labels" base_path: "$MODELS/labels" model_platform: "tensorflow" }
}
"""


def everlit(*arguments, socket=None, stdin=b"", env=None):
    """(exit status, standard output, standard error)"""
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "EVERLIT_SOCKET")}
    environment.update({"EVERLIT_SOCKET": socket} if socket else {})
    environment.update(env or {})
    done = subprocess.run([EVERLIT, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment, timeout=LIMIT_S)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def server():
    server = Server(config=CONFIG)
    server.put("digits", 1, MODELS / "digits/1")
    server.put("labels", 1, MODELS / "labels/1")
    with server:
        server.wait_serving("digits", 1)
        server.wait_serving("labels", 1)
        server.put("digits", 3, MODELS / "broken/nan_outputs")
        server.wait_state("digits", 3, "quarantined")
        yield server


# ---- status

def test_status_shows_each_version_and_why_one_was_refused(server):
    code, out, _ = everlit("status", socket=server.socket)
    assert code == 0
    lines = out.splitlines()
    assert re.match(r"everlitd \d+\.\d+\.\d+, pid \d+, up \d+[smhd], gRPC on \d+, REST on \d+, ready$", lines[0])
    assert lines[2].split() == ["MODEL", "VERSION", "STATE", "SINCE", "ENGINE", "REQUESTS", "ERRORS", "P50", "P99", "MEMORY"]
    rows = [line.split() for line in lines[3:6]]
    assert [row[:3] for row in rows] == [["digits", "3", "quarantined"], ["digits", "1", "serving"],
                                         ["labels", "1", "serving"]]
    assert rows[1][9].endswith("M")
    assert re.search(r"^digits version 3 was refused \d+[smhd] ago: ", out, re.M)
    assert "not finite" in " ".join(out.split())
    assert all(len(line) <= 80 for line in lines)
    assert "\033" not in out


def test_status_as_json_is_what_the_server_says(server):
    code, out, _ = everlit("status", "--json", socket=server.socket)
    status = json.loads(out)
    assert code == 0
    assert status["server"]["pid"] == server.process.pid
    assert [model["name"] for model in status["models"]] == ["digits", "labels"]
    documented = {"version", "state", "tfs_state", "since_us", "since_s", "engine", "engine_reason", "probe", "isolation", "pid",
                  "code", "reason", "requests", "errors", "replayed", "worker_deaths", "p50_ms", "p99_ms",
                  "max_ms", "memory_bytes", "private_bytes", "load_ms", "switch_ms"}
    [serving] = [version for version in status["models"][0]["versions"] if version["state"] == "serving"]
    assert documented <= set(serving)
    reference = (ROOT / "docs/admin-api.md").read_text()
    assert all(f"`{name}`" in reference for name in serving), "docs/admin-api.md lacks a field"


class Terminal:
    """everlit on a terminal of 80 by 24."""

    def __init__(self, *arguments, socket, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.pop("NO_COLOR", None)
            os.environ.update({"EVERLIT_SOCKET": socket, "TERM": "xterm", **(env or {})})
            os.execv(EVERLIT, [EVERLIT, *arguments])
        self.text = ""

    def read_until(self, condition):
        end = time.monotonic() + LIMIT_S
        while not condition(self.text):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"waited {LIMIT_S} s; the terminal shows {self.text!r}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.text

    def end(self):
        os.kill(self.pid, 2)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def test_watching_redraws_a_terminal_in_place(server):
    terminal = Terminal("status", "--watch", "0.1", socket=server.socket)
    text = terminal.read_until(lambda text: text.count("\033[H") >= 3)
    terminal.end()
    assert text.count("\033[2J") == 1
    assert text.count("everlitd ") >= 2
    assert "\033[32mserving" in text


def test_colours_are_for_terminals_without_no_color(server):
    coloured = Terminal("status", socket=server.socket)
    assert "\033[32mserving" in coloured.read_until(lambda text: False)
    plain = Terminal("status", socket=server.socket, env={"NO_COLOR": "1"})
    text = plain.read_until(lambda text: False)
    assert "serving" in text and "\033" not in text


# ---- events

def test_events_tell_the_story_of_a_model(server):
    code, out, _ = everlit("events", "--model", "digits", socket=server.socket)
    assert code == 0
    story = [re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  (\S+) +digits(?: (\d+))?(?:  .+)?$", line)
             for line in out.splitlines()]
    assert all(story), out
    names = [(match[1], match[2]) for match in story]
    assert names.index(("version_seen", "1")) < names.index(("loaded", "1")) < names.index(("serving", "1"))
    assert ("quarantined", "3") in names


def test_events_as_json_can_be_continued(server):
    _, out, _ = everlit("events", "--json", socket=server.socket)
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    _, rest, _ = everlit("events", "--json", "--after", str(events[2]["id"]), socket=server.socket)
    assert [json.loads(line) for line in rest.splitlines()][:len(events) - 3] == events[3:]


def test_following_shows_events_as_they_happen_until_the_server_ends():
    server = Server(config=CONFIG)
    server.put("digits", 1, MODELS / "digits/1")
    server.put("labels", 1, MODELS / "labels/1")
    with server:
        server.wait_serving("digits", 1)
        follower = subprocess.Popen([EVERLIT, "--socket", server.socket, "events", "--follow", "--json", "--model", "digits"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        seen = []

        def wait_for_event(name, version):
            while True:
                line = follower.stdout.readline()
                assert line, f"the stream ended before {name}; it told {seen}"
                seen.append(json.loads(line))
                if (seen[-1]["event"], seen[-1]["version"]) == (name, version):
                    return
        wait_for_event("serving", 1)
        server.put("digits", 2, MODELS / "digits/2")
        wait_for_event("switched", 2)
        assert {event["model"] for event in seen} == {"digits"}
    _, errors = follower.communicate(timeout=LIMIT_S)
    assert follower.returncode == 3, errors


# ---- predict

def answer(code_out_err):
    code, out, err = code_out_err
    assert code == 0, err
    return json.loads(out)


def test_predict_from_json_files(server):
    expected = answer(everlit("predict", "digits", "--json", str(ROOT / "test/data/rest/digits_row.json"), socket=server.socket))
    assert np.argmax(expected["predictions"][0]) == int((ROOT / "test/data/digits_test.labels").read_text().split()[0])


def test_predict_wraps_what_is_only_the_values(server):
    list_ = answer(everlit("predict", "labels", "--json", "-", stdin=b' ["5", "30"]\n', socket=server.socket))
    assert set(list_) == {"predictions"}
    object_ = answer(everlit("predict", "labels", "--json", "-", stdin=b'{"label": ["5", "30"]}', socket=server.socket))
    named = answer(everlit("predict", "labels", "--json", "-", "--input", "label", stdin=b'["5", "30"]', socket=server.socket))
    assert object_ == named == {"outputs": list_["predictions"]}


def test_predict_from_a_numpy_array(server, tmp_path):
    images = np.load(ROOT / "test/data/digits_3.npy")
    labels = [int(line) for line in (ROOT / "test/data/digits_test.labels").read_text().split()[:3]]
    out = answer(everlit("predict", "digits", "--npy", str(ROOT / "test/data/digits_3.npy"), socket=server.socket))
    assert list(np.argmax(out["outputs"], axis=1)) == labels
    one = answer(everlit("predict", "digits", "--npy", str(ROOT / "test/data/digit.npy"), "--row", socket=server.socket))
    np.testing.assert_allclose(one["outputs"], out["outputs"][:1], rtol=1e-4, atol=1e-6)
    np.save(tmp_path / "wide.npy", images.astype("<f8"))
    features = answer(everlit("predict", "digits", "--npy", str(tmp_path / "wide.npy"), "--input", "input", "--signature",
                              "features", "--version", "1", socket=server.socket))
    assert np.shape(features["outputs"])[0] == 3 and np.shape(features["outputs"])[1] > 10
    np.save(tmp_path / "fortran.npy", np.asfortranarray(images))
    code, _, err = everlit("predict", "digits", "--npy", str(tmp_path / "fortran.npy"), socket=server.socket)
    assert code == 2 and "numpy.ascontiguousarray" in err


@pytest.mark.parametrize("arguments,stdin,words", [
    (["nothing", "--json", "-"], b"[[1]]", "Servable not found for request: Latest(nothing)"),
    (["digits", "--json", "-", "--version", "77"], b"[[1]]", "Servable not found for request: Specific(digits, 77)"),
    (["digits", "--json", "-"], b"{nonsense", "JSON Parse error"),
])
def test_what_the_server_refuses_is_said_in_its_words(server, arguments, stdin, words):
    code, out, err = everlit("predict", *arguments, stdin=stdin, socket=server.socket)
    assert (code, out) == (1, "")
    assert err.startswith("everlit predict: ") and words in err


# ---- inspect

def test_inspect_shows_signatures_and_files_without_a_server():
    code, out, _ = everlit("inspect", str(MODELS / "digits"))
    assert code == 0
    assert out.startswith(f"{MODELS}/digits/2  (the highest of 2 versions)\n")
    assert re.search(r"^signature serving_default .*\n  input   input +float +\[\?,784\]\n  output  prediction +float +\[\?,10\]$", out, re.M)
    assert re.search(r"^signature features ", out, re.M)
    assert re.search(r"^ +\d+  assets/names.txt  \(asset\)$", out, re.M)
    assert "__saved_model_init_op" not in out


def test_inspect_as_json():
    code, out, _ = everlit("inspect", "--json", str(MODELS / "labels/1"))
    model = json.loads(out)
    assert code == 0 and model["whole"] is True and model["wrong"] == ""
    [graph] = model["meta_graphs"]
    assert graph["tags"] == ["serve"] and graph["assets"] == ["words.txt"]
    [signature] = [s for s in graph["signatures"] if s["name"] == "serving_default"]
    assert [(i["name"], i["dtype"], i["shape"]) for i in signature["inputs"]] == [("label", "DT_STRING", [-1])]
    assert model["size_bytes"] == sum(file["size_bytes"] for file in model["files"])


@pytest.mark.parametrize("model,words", [
    ("truncated_pb", "cut off"), ("no_variables", "variables/variables.index is not there"), ("random_bytes", "saved_model.pb"),
    ("short_variables", "variables.data-00000-of-00001"),
])
def test_inspect_says_what_is_wrong_with_a_broken_model(model, words):
    code, out, err = everlit("inspect", str(MODELS / "broken" / model))
    assert code == 1
    assert words in " ".join((out + err).split())


def test_inspect_finds_no_model_in_other_places(tmp_path):
    code, _, err = everlit("inspect", str(tmp_path))
    assert code == 1 and "saved_model.pb" in err
    code, _, err = everlit("inspect", str(tmp_path / "nothing"))
    assert code == 1 and "No such file or directory" in err
    code, _, err = everlit("inspect", "--tags", "gpu", str(MODELS / "digits/1"))
    assert code == 1 and "serve" in err


# ---- usage, and no server

def test_without_a_server_it_says_what_to_type(tmp_path):
    path = str(tmp_path / "no.sock")
    for arguments in (["status"], ["events"], ["predict", "m", "--json", "-"]):
        code, out, err = everlit("--socket", path, *arguments, stdin=b"[1]")
        assert (code, out) == (3, "")
        assert f"cannot reach everlitd at {path}: No such file or directory" in err
        assert "everlitd --model_name=" in err and "--socket PATH" in err


def test_the_socket_is_found_by_option_then_environment_then_runtime_directory(tmp_path):
    (tmp_path / "run").mkdir()
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert "/by-option:" in everlit("--socket", "/by-option", "status", env={"EVERLIT_SOCKET": "/by-env", **runtime})[2]
    assert "/by-option:" in everlit("status", "--socket", "/by-option", env={"EVERLIT_SOCKET": "/by-env", **runtime})[2]
    assert "/by-env:" in everlit("status", env={"EVERLIT_SOCKET": "/by-env", **runtime})[2]
    if not os.path.exists("/run/everlit"):
        assert f"{tmp_path}/run/everlit.sock:" in everlit("status", env=runtime)[2]


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["--nonsense"], ["status", "--nonsense"], ["status", "extra"], ["status", "--watch", "never"],
    ["status", "--json", "--watch"], ["status", "--json", "--all"], ["events", "digits"], ["events", "--after", "x"], ["events", "--model"], ["inspect"],
    ["inspect", "a", "b"], ["predict"], ["predict", "m"], ["predict", "m", "--json", "a", "--npy", "b"],
    ["predict", "m", "--json", "-", "--version", "new"], ["predict", "m", "--json", "-", "--row"], ["version", "x"], ["help", "x"],
    ["help", "status", "events"], ["predict", "m", "--json", "-", "--version", "1", "--label", "a"],
    ["predict", "m", "--json", "-", "--timeout", "0"],
])
def test_wrong_usage_ends_with_2_and_says_how_to_get_help(arguments):
    code, out, err = everlit(*arguments)
    assert (code, out) == (2, "")
    assert "everlit" in err and "help" in err


def test_help_fits_80_columns_and_names_every_command():
    code, out, _ = everlit("help")
    assert code == 0
    assert all(f"\n  {command} " in out for command in COMMANDS)
    for command in COMMANDS:
        code, text, _ = everlit("help", command)
        assert code == 0 and text.startswith(f"usage: everlit {command}")
        assert text == everlit(command, "--help")[1]
        out += text
    assert max(map(len, out.splitlines())) <= 80


def test_version_says_ours_and_the_servers(server):
    alone = everlit("version", "--socket", "/nothing")
    assert re.fullmatch(r"everlit \d+\.\d+\.\d+\n", alone[1]) and alone[0] == 0
    assert everlit("--version")[1] == alone[1]
    both = everlit("version", socket=server.socket)
    assert both[1] == alone[1] + alone[1].replace("everlit", "everlitd").strip() + f" (pid {server.process.pid})\n"


def test_a_full_disk_is_said(server):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([EVERLIT, "--socket", server.socket, "status"], stdout=full, stderr=subprocess.PIPE, timeout=LIMIT_S)
    assert done.returncode == 1 and b"No space left on device" in done.stderr


# ---- what is written about it

def options_of(command):
    return set(re.findall(r"^  (--[a-z]+)", everlit("help", command)[1], re.M))


@pytest.mark.parametrize("page", ["docs/man/everlit.1", "deploy/completion/everlit.bash", "deploy/completion/_everlit",
                                  "deploy/completion/everlit.fish", "docs/everlit.md"])
def test_every_command_and_option_is_documented(page):
    text = (ROOT / page).read_text().replace("\\-", "-").replace("Fl -", "--").replace("-l ", "--")
    for command in COMMANDS:
        assert command in text
        missing = [option for option in options_of(command) if option not in text]
        assert not missing, f"{page} lacks {missing} of {command}"


def test_every_flag_of_the_daemon_has_its_place_in_the_manual():
    page = (ROOT / "docs/man/everlitd.8").read_text()
    text = subprocess.run([str(BUILD / "src/cmd/everlitd"), "--help"], stdout=subprocess.PIPE, check=False).stdout.decode()
    flags = re.findall(r"^  --([a-z_]+)", text, re.M)
    assert len(flags) > 10
    assert [flag for flag in flags if f".It Fl -{flag}" not in page] == []


def test_every_flag_of_the_daemon_is_in_the_guide_for_those_who_come_from_tensorflow_serving():
    page = (ROOT / "docs/migration.md").read_text()
    text = subprocess.run([str(BUILD / "src/cmd/everlitd"), "--help"], stdout=subprocess.PIPE, check=False).stdout.decode()
    flags = re.findall(r"^  --([a-z_]+)", text, re.M)
    assert [flag for flag in flags if f"`--{flag}`" not in page] == []
    named = set(re.findall(r"^\| (`--.*?) \|", page, re.M))
    assert [flag for row in named for flag in re.findall(r"`--([a-z_]+)`", row) if flag not in flags] == []


@pytest.mark.parametrize("page", ["docs/config.md", "docs/man/everlitd.8"])
def test_every_field_of_the_config_is_documented(page):
    text = (ROOT / page).read_text()
    proto = (ROOT / "proto/tensorflow_serving/config/model_server_config.proto").read_text()
    for message in ("ModelConfig", "EverlitUpdate"):
        body = re.search(r"^message %s \{\n(.*?)^\}" % message, proto, re.M | re.S)[1]
        fields = re.findall(r"^  (?:optional )?[\w.<>, ]+ (\w+) = \d+", body, re.M)
        assert len(fields) > 6
        assert [field for field in fields if field not in text and field != "model_type"] == []


@pytest.mark.parametrize("words,current,expected", [
    (["everlit", ""], 1, {*COMMANDS, "help"}),
    (["everlit", "st"], 1, {"status"}),
    (["everlit", "status", "--"], 2, {"--json", "--watch", "--model", "--all", "--socket", "--help"}),
    (["everlit", "--socket", "/x", "pre"], 3, {"predict"}),
    (["everlit", "help", "v"], 2, {"version"}),
])
def test_bash_completes(words, current, expected):
    script = (f"source {ROOT}/deploy/completion/everlit.bash; COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={current}; "
              "_everlit; printf '%s\\n' \"${COMPREPLY[@]}\"")
    out = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert {word.strip() for word in out.split("\n") if word.strip()} == expected


def test_bash_completes_models_of_the_server(server):
    script = (f"source {ROOT}/deploy/completion/everlit.bash; COMP_WORDS=(everlit predict d); COMP_CWORD=2; "
              "_everlit; printf '%s\\n' \"${COMPREPLY[@]}\"")
    env = {**os.environ, "EVERLIT_SOCKET": server.socket, "PATH": f"{BUILD}/src/cmd:{os.environ['PATH']}"}
    out = wait_for("completion", lambda: subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, check=True, env=env).stdout)
    assert out.split() == [b"digits"]
