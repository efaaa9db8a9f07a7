# SPDX-License-Identifier: Apache-2.0
"""The model `digits` whose versions come and go."""
from everlit import LIMIT_S, MODELS, Server

# Traffic beside it and a sanitizer make loading slow: enough for too_much_memory to meet its limit of memory first, and below
# the 30 s of models/broken/slow_load in any case.
LOAD_TIMEOUT_S = 15 if LIMIT_S <= 60 else 20
CONFIG = """
model_config_list {
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow"
           update { engine: "%%s" isolation: "%%s" load_timeout_ms: %d memory_limit_bytes: 1500000000 %%s } }
}
""" % (1000 * LOAD_TIMEOUT_S)
GOOD = {1: MODELS / "digits" / "1", 2: MODELS / "digits" / "2"}
MINIATURE = MODELS / "broken" / "not_a_number" / "v2-final"


def digits_server(engine="openvino", isolation="process", more="", first=2):
    server = Server(config=CONFIG % (engine, isolation, more))
    server.put("digits", 1, GOOD[first])
    return server


def answers_by_parity(answers, last):
    """Odd version numbers have the content of version 1, even ones that of version 2."""
    return {number: answers[2 - number % 2] for number in range(1, last + 1)}
