# SPDX-License-Identifier: Apache-2.0
"""Every start of TensorFlow Serving that was recorded (test/conformance/startup.tsv), tried here through a symbolic link with its
program's name: the same end, or the same going on, with words that say at least as much."""
import concurrent.futures
import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from everlit import BUILD, LIMIT_S, ROOT, free_port, wait_for

RECORDED = ROOT / "test/conformance/models"


def model(name, more="", path=None, platform='model_platform: "tensorflow"'):
    return f'config {{ name: "{name}" base_path: "{path or "$MODELS/" + name}" {platform} {more} }}'


def models(*configs):
    return "model_config_list { " + " ".join(configs) + " }"


CONFIGS = {
    "ok.config": models(model("half")),
    "bad.config": "this is not a config",
    "unk.config": 'model_config_list { config { name: "half"              colour: "red" } }',
    "unc.config": 'model_config_list { config { name: "a" ',
    "empty.config": "",
    "nomodels.config": "model_config_list {}",
    "wt.config": "model_config_list { config { name: 5 } }",
    "cust.config": 'custom_model_config { type_url: "type.googleapis.com/x" }',
    "dup.config": models(model("a", path="$MODELS/half"), model("a", path="$MODELS/half")),
    "rel.config": models(model("a", path="models/half")),
    "nop.config": models(model("a", path="$MODELS/half", platform="")),
    "unp.config": models(model("a", path="$MODELS/half", platform='model_platform: "onnx"')),
    "lab.config": models(model("half", 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }')),
    "lab2.config": models(model("half", 'version_labels { key: "stable" value: 9 }')),
    "spec.config": models(model("half", "model_version_policy { specific { versions: 9 } }")),
    "two.config": models(model("half"), model("g", path="$MODELS/garbage")),
    "twov.config": models(model("partial", "model_version_policy { all {} }")),
    "b.params": "max_batch_size { value: 4 }",
    "bb.params": "max_batch_size: 4",
    "bz.params": "max_batch_size { value: 0 }",
    "ba.params": "max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]",
    "bt.params": "batch_timeout_micros { value: -1 }",
    "m.config": "nonsense: 1",
    "s.config": "nonsense: 1",
    "ssl2.config": 'server_key: "x" server_cert: "y"',
}

# Where TensorFlow Serving's start is a fault that no user relies on: what happens here instead ("runs", or an exit status and a
# part of its text), and why.
HEALED = {
    "config_custom": (255, "ModelServer does not yet support custom model config.", "an error, no abort"),
    "config_label_cold": ("runs", "", "a label may come with the version that it names"),
    "base_path_missing": ("runs", "", "one missing directory does not keep the ports closed"),
    "base_path_no_versions": ("runs", "", "likewise"),
    "base_path_is_version_dir": ("runs", "", "likewise"),
    "base_path_is_file": ("runs", "", "likewise"),
    "specific_version_missing": ("runs", "", "likewise"),
    "garbage_default_retries": ("runs", "", "likewise"),
    "batching_size_zero": (255, "max_batch_size must be positive; was 0", "an error, no crash"),
    "batching_timeout_negative": (255, "batch_timeout_micros must be non-negative; was -1", "an error, no crash"),
    "batching_allowed_sizes_do_not_end_at_max": (
        255, "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8", "said with its place"),
    "monitoring_file_missing": (255, "NOT_FOUND: $CONFIGS/nothere; No such file or directory", "no half of a server"),
    "monitoring_file_bad": (255, 'has no field named "nonsense"', "no half of a server"),
    "ssl_file_missing": (255, "NOT_FOUND: $CONFIGS/nothere; No such file or directory", "an error, no abort"),
    "port_too_big": (255, "--port: expected a number from 0 to 65535, found 99999", "no server on some other port"),
    "flag_space_value": ("runs", "", "--flag value is taken too"),
    "help": (0, "--model_config_file", "asking for help is no error"),
    "version": (0, "everlitd ", "its own name"),
    "grpc_port_in_use": (255, "Failed to BuildAndStart gRPC server: listening on 0.0.0.0 port $BUSY_PORT", "says why"),
    "version_and_unknown_flag": (0, "everlitd ", "its own name"),
    "bool_flag_word": (255, "Couldn't interpret value maybe for flag enable_batching.", "without the ="),
}
# The same with --strict_startup, which is for those who want theirs; what can be served is served without it.
STRICT = ("saved_model_garbage", "saved_model_missing", "warmup_bad", "tags_do_not_match", "one_of_two_models_garbage",
          "one_of_two_versions_garbage_all", "latest_version_garbage", "garbage_two_retries_fast")


def rows():
    with open(ROOT / "test/conformance/startup.tsv", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


class Start:
    """One start, watched until the server listens or has ended."""

    def __init__(self, place, row, strict=False):
        self.place = place
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=place.folder))
        port = free_port()
        command = [place.program, f"--port={port}", f"--rest_api_port={free_port()}", "--engine=openvino",
                   f"--admin_socket={self.folder}/s", "--log_format=json"] + ["--strict_startup"] * strict
        command += [place.filled(a).replace("=N", f"={port}") for a in row["arguments"].split(" ") if a]
        with open(self.folder / "out", "wb") as out, open(self.folder / "err", "wb") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, cwd=self.folder)
        try:
            wait_for(lambda: f"{row['case']} to listen or to end: {command}\n{self.err()}",
                     lambda: process.poll() is not None or self.listening())
            self.ended = process.poll()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(LIMIT_S)
        self.status_at_end = process.returncode

    def out(self):
        return (self.folder / "out").read_text()

    def err(self):
        return (self.folder / "err").read_text()

    def listening(self):
        for line in self.err().splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if event.get("event") == "listening":
                    return event
        return None


class Place:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.program = str(self.folder / "tensorflow_model_server")
        os.symlink(BUILD / "src/cmd/everlitd", self.program)
        self.busy = socket.socket(socket.AF_INET6)
        self.busy.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.busy.bind(("::", 0))
        self.busy.listen()
        self.models = self.folder / "models"
        self.models.mkdir()
        for recorded in RECORDED.iterdir():
            if recorded.name not in ("half", "partial"):
                os.symlink(recorded, self.models / recorded.name)
        for name, versions in {"half": ("scalar/1",) * 3, "partial": ("scalar/1", "partial/2")}.items():
            for number, version in enumerate(versions, 1):  # a smaller model does as well, and loads faster
                shutil.copytree(RECORDED / version, self.models / name / str(number))
        for name, text in CONFIGS.items():
            (self.folder / name).write_text(self.filled(text))

    def filled(self, text):
        for name, value in (("$MODELS", self.models), ("$CONFIGS", self.folder), ("$BUSY_PORT", self.busy.getsockname()[1])):
            text = text.replace(name, str(value))
        return text


@pytest.fixture(scope="module")
def starts():
    """All of them, some at a time: each test looks at its own."""
    with tempfile.TemporaryDirectory(prefix="everlit-test-") as folder, concurrent.futures.ThreadPoolExecutor(4) as pool:
        place = Place(folder)
        with place.busy:
            started = {(row["case"], strict): pool.submit(Start, place, row, strict)
                       for row in rows() for strict in (False, True) if not strict or row["case"] in STRICT}
            yield lambda case, strict=False: started[case, strict].result()


def expected(row):
    """"runs" or an exit status, and what the output has to hold."""
    if row["case"] in HEALED:
        return HEALED[row["case"]][:2]
    if row["ends"].startswith("runs"):
        return "runs", ""
    assert row["ends"] == "ends", row
    text = row["stdout_first_line"].removeprefix("Failed to start server. Error: ")
    return int(row["exit_code"]), "" if text.startswith("usage: ") else text


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["case"])
def test_a_start_ends_as_theirs_or_better(starts, row):
    start = starts(row["case"])
    ending, text = expected(row)
    if row["case"] in STRICT:
        ending, text = "runs", ""
    if ending == "runs":
        assert start.ended is None, f"{start.out()}\n{start.err()}"
        assert start.status_at_end == 0
    else:
        assert start.ended == ending, f"{start.out()}\n{start.err()}"
        code, _, words = text.partition(": ")
        for part in (f" {code}: ", words) if re.fullmatch("[A-Z_]+", code) else (text,):
            assert start.place.filled(part) in start.out(), f"{start.out()}\nis to hold\n{part}"
    why = row["stderr_last_line"]
    if ending == 255 and "Error parsing text-format" in why:
        # libprotobuf's own line, which people look for in the log
        assert start.place.filled(why.removeprefix("[libprotobuf ERROR] ")).rstrip() in start.err().replace('\\"', '"')
    if ending == 255 and "Couldn't interpret" in why:
        assert why.split("] ")[1].replace("=maybe", "maybe") in start.err()
    if row["stdout_last_line"].startswith("unknown argument") and row["case"] not in HEALED:
        assert row["stdout_last_line"] in start.out()


@pytest.mark.parametrize("case", STRICT)
def test_a_strict_start_ends_where_a_model_cannot_be_loaded(starts, case):
    row = next(row for row in rows() if row["case"] == case)
    start = starts(case, strict=True)
    assert start.ended == 255, f"{start.out()}\n{start.err()}"
    text = row["stdout_first_line"]
    text = text[:text.index("due to error: ")] + "due to error: "  # then the engine's words, or ours
    assert text in start.out(), f"{start.out()}\nis to hold\n{text}"
    assert start.listening() is None


@pytest.mark.parametrize("case, rest", [("rest_port_in_use", False), ("rest_port_same_as_grpc", False),
                                        ("rest_port_negative", False), ("both_path_and_config_file", True)])
def test_grpc_answers_where_rest_cannot(starts, case, rest):
    start = starts(case)
    listening = start.listening()
    assert listening["grpc_port"] > 0
    assert (listening["rest_api_port"] > 0) == rest
    assert ("no_rest" in start.err()) == (not rest)


def test_a_strict_start_waits_for_a_base_path_that_is_not_there_yet():
    with tempfile.TemporaryDirectory(prefix="everlit-test-") as folder:
        base = pathlib.Path(folder) / "models"
        with open(f"{folder}/err", "wb") as err:
            process = subprocess.Popen(
                [BUILD / "src/cmd/everlitd", f"--port={free_port()}", f"--model_base_path={base}", "--engine=openvino",
                 "--strict_startup", f"--admin_socket={folder}/s", "--log_format=json"], stderr=err)
        try:
            log = pathlib.Path(f"{folder}/err")
            wait_for(log.read_text, lambda: str(base) in log.read_text())  # it was looked for
            assert '"listening"' not in log.read_text()
            os.symlink(RECORDED / "scalar", base)
            wait_for(log.read_text, lambda: '"listening"' in log.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(LIMIT_S) == 0
