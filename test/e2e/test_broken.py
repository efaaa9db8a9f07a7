# SPDX-License-Identifier: Apache-2.0
"""A bad version never answers, and costs no request."""
import csv
import re
import shutil
import subprocess

import pytest

from digits import digits_server
from everlit import MODELS, Traffic


def broken():
    with open(MODELS / "broken" / "list.tsv") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if row and not row[0].startswith("#")]
    return [(name, expect, reason) for name, _, expect, reason, _ in rows]


# What ends the process or fills its memory cannot be survived inside the server's own process.
NEEDS_A_PROCESS = {"aborts", "aborts_loading", "slow_load", "too_much_memory"}


@pytest.mark.parametrize("engine,isolation", [("tensorflow", "process"), ("openvino", "process"), ("openvino", "none")])
def test_no_broken_version_ever_answers(images, answers, engine, isolation):
    # Only version 1 and, at the end, the miniature that is copied slowly may answer.
    expected = {1: answers[2], len(broken()) + 1: answers[3]}
    with digits_server(engine, isolation) as server, Traffic(server, images, expected) as traffic:
        number = 1
        for name, expect, reason in broken():
            if isolation == "none" and engine == "tensorflow" and name in NEEDS_A_PROCESS:
                continue
            number += 1
            traffic.wait_more(32)
            played = subprocess.run([MODELS / "broken" / "play.sh", name, server.base("digits"), str(number), "2"],
                                    check=True, capture_output=True, text=True)
            if expect == "refused":
                version = server.wait_state("digits", number, "quarantined")
                assert re.search(reason, version["reason"], re.I) or engine == "openvino", f"{name}: {version['reason']}"
                assert version["reason"], name
            elif expect == "ignored":
                # A later version is seen after it: the folder was looked at, and passed over.
                assert server.version("digits", number) is None
            else:
                server.wait_serving("digits", number)
            shutil.rmtree(played.stdout.strip()) if expect != "taken" else None
        traffic.wait_more(32)
    traffic.assert_clean()
