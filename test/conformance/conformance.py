#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks everlitd what TensorFlow Serving was asked, and compares the answers.

    build/test-venv/bin/python test/conformance/conformance.py [--config NAME]... [--only REGEX] [--topic REGEX]

answers.jsonl holds requests and the answers of tensorflow_model_server 2.15.1; differences.tsv names those that
everlitd answers otherwise, each with the reason. A difference that is not named there is a failure; one that is named and is
none any more is told, so that its line can go (--update writes the file anew, keeping the reasons).

rules.tsv holds requests that were not recorded, with the code and the text that TensorFlow Serving's sources say.

Ends with `N of M agree`; exit status 0 if every difference is a named one. EVERLIT_BUILD: the build folder.
"""
import argparse
import base64
import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import sys
import time

from google.protobuf import json_format

from asking import HERE, METHODS, MODEL, PREDICTION, Place, Server
from comparing import grpc_difference, rest_difference

DIFFERENCES = HERE / "differences.tsv"
SHORT = {"P": PREDICTION + "Predict", "C": PREDICTION + "Classify", "R": PREDICTION + "Regress",
         "M": PREDICTION + "MultiInference", "D": PREDICTION + "GetModelMetadata", "S": MODEL + "GetModelStatus",
         "L": MODEL + "HandleReloadConfigRequest"}


def read_records():
    """All records, by config, in the order in which they were sent."""
    by_config = collections.defaultdict(list)
    with open(HERE / "answers.jsonl", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            by_config[record["config"]].append(record)
    for records in by_config.values():
        records.sort(key=lambda record: record["seq"])
    return by_config


def read_rules():
    """The lines of rules.tsv as records, by config."""
    by_config = collections.defaultdict(list)
    for number, line in enumerate((HERE / "rules.tsv").read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        config, method, asked, code, text = line.split("\t")
        grpc = method in SHORT or method.startswith("/")
        request = {"method": SHORT.get(method, method)}
        if asked.startswith("b64:"):
            request["b64" if grpc else "raw_b64"] = asked[4:]
        elif grpc:
            message = json_format.Parse(asked, METHODS[request["method"]][0]())
            request["b64"] = base64.b64encode(message.SerializeToString()).decode()
        else:
            request.update(json.loads(asked))
        by_config[config].append({"id": f"rules.tsv:{number}", "kind": "grpc" if grpc else "rest", "request": request,
                                  "code": code, "text": json.loads(text)})
    return by_config


def rule_difference(server, record):
    try:
        answer = server.ask(record)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer: {type(error).__name__} {error}"
    code = str(answer["code"] if record["kind"] == "grpc" else answer["status"])
    text = answer["message"] if record["kind"] == "grpc" else answer["body"]
    if code in ("OK", "200"):
        text = ""
    if (code, text) == (record["code"], record["text"]):
        return None
    return f"{record['code']} {record['text']!r} / {code} {text!r}"


def read_differences():
    with open(DIFFERENCES, encoding="utf-8") as lines:
        return dict(line.rstrip("\n").split("\t", 1) for line in lines if line.strip() and not line.startswith("#"))


def write_differences(reasons):
    head = [line for line in DIFFERENCES.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    lines = [f"{name}\t{reason}" for name, reason in sorted(reasons.items())]
    DIFFERENCES.write_text("\n".join(head + lines) + "\n", encoding="utf-8")


def difference(server, record):
    try:
        answer = server.ask(record)
        if record["kind"] == "rest":
            return rest_difference(record, answer)
        return grpc_difference(record, answer, METHODS)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer: {type(error).__name__} {error}"


def replay(server, place, records, wanted):
    """Yields (record, difference or None) for each record that is wanted."""
    broken = ""
    for record in records:
        if record["kind"] == "action":
            for step in record["steps"]:
                if step["do"] == "wait":
                    state = server.wait(step["model"], step["states"], step.get("seconds", 30))
                    broken = f" [after {record['id']}: {state}]" if state else ""
                else:
                    place.act(step)
        elif wanted(record) or record.get("state"):
            found = difference(server, record)
            if wanted(record):
                yield record, found + broken if found else None
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended with {server.process.returncode} after {record['id']}")


def run_config(name, config, records, rules, wanted, options):
    """id -> (record, difference or None), for every record that is wanted."""
    started = time.monotonic()
    results = {record["id"]: (record, "not asked") for record in records if record["kind"] != "action" and wanted(record)}
    if not results:
        return results
    place = Place()
    log_path = options.logs / f"{name}.log"
    server = None
    with open(log_path, "wb") as log:
        try:
            for step in config.get("setup", []):
                place.act(step)
            server = Server(options.command, config, place, log, options.timeout)
            for record, found in replay(server, place, records, wanted):
                results[record["id"]] = (record, found)
            options.broken_rules += [(rule["id"], why) for rule in rules if (why := rule_difference(server, rule))]
        except RuntimeError as error:
            print(f"{name}: {error}; see {log_path}")
        finally:
            if server is not None:
                server.stop()
            place.clear()
    print(f"{name}: {sum(why is None for _, why in results.values())} of {len(results)} agree, in "
          f"{time.monotonic() - started:.0f} s", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", action="append", help="only this config; may be repeated")
    parser.add_argument("--only", default="", help="only ids in which this regular expression is found")
    parser.add_argument("--topic", default="", help="only topics in which this regular expression is found")
    parser.add_argument("--engine", default="tensorflow", help="everlitd's --engine (tensorflow)")
    parser.add_argument("--timeout", type=float, default=30, help="seconds for one answer (30)")
    parser.add_argument("--jobs", type=int, default=4, help="configs at a time, each with a server of its own (4)")
    parser.add_argument("--verbose", action="store_true", help="also show the differences that are named")
    parser.add_argument("--update", action="store_true", help="write differences.tsv anew")
    options = parser.parse_args()
    build = pathlib.Path(os.environ.get("EVERLIT_BUILD", HERE.parents[1] / "build" / "release")).resolve()
    options.command = [str(build / "src" / "cmd" / "everlitd"), "--admin_socket=none", f"--engine={options.engine}"]
    options.logs = build / "conformance"
    options.logs.mkdir(exist_ok=True)

    def wanted(record):
        return re.search(options.only, record["id"]) and re.search(options.topic, record["topic"])

    configs = json.loads((HERE / "configs.json").read_text())
    named, by_config = read_differences(), read_records()
    rules = {} if options.only or options.topic or options.engine != "tensorflow" else read_rules()
    options.broken_rules = []
    results = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:  # most of the time goes in waits; "timeout", the longest, is small
        running = {name: pool.submit(run_config, name, configs[name], by_config[name], rules.get(name, []), wanted, options)
                   for name in sorted(options.config or by_config, key=lambda name: len(by_config[name]))}
        for _, future in sorted(running.items()):
            results.update(future.result())

    topics, unexpected, stale, agree = collections.Counter(), 0, [], 0
    for identity, (record, why) in results.items():
        if why is None:
            agree += 1
            if identity in named:
                stale.append(identity)
            continue
        topics[record["topic"]] += 1
        if identity not in named:
            unexpected += 1
        if identity not in named or options.verbose:
            print(f"{'named' if identity in named else 'DIFFERS'} {identity}: {why}")
    for identity, why in sorted(options.broken_rules):
        print(f"DIFFERS {identity}: {why}")
    for identity in stale:
        print(f"agrees now, though differences.tsv names it: {identity}")
    if options.update:
        left = {name: reason for name, reason in named.items() if name not in results}
        left.update({name: named.get(name, f"{record['topic']}: {why}") for name, (record, why) in results.items() if why})
        write_differences(left)
    if topics:
        print("differing by topic: " + ", ".join(f"{topic} {count}" for topic, count in topics.most_common()))
    print(f"{agree} of {len(results)} agree; {unexpected} differ without a line in differences.tsv")
    if rules:
        print(f"{len(options.broken_rules)} of {sum(map(len, rules.values()))} rules of rules.tsv are broken")
    return 0 if results and unexpected == 0 and not options.broken_rules else 1


if __name__ == "__main__":
    sys.exit(main())
