# SPDX-License-Identifier: Apache-2.0
"""A version that is good by itself and bad with live requests: taken back without a request lost."""
import pytest

from everlit import MODELS, Server, Traffic, np

CONFIG = """
model_config_list {
  config { name: "m" base_path: "$MODELS/m" model_platform: "tensorflow"
           update { engine: "test" max_latency_ratio: -1 probe { replay_records: 0 } } }
}
"""
ROWS = np.arange(48, dtype=np.float32).reshape(12, 4) + 5  # the probe's own rows are below 1


def put(server, number, orders=""):
    server.put_test("m", number, f"above=4\n{orders}")


@pytest.mark.parametrize("order, reason, label", [("abort", "its process crashed", "crashes"), ("fail", "answers failed", "errors"),
                                                  ("nan", "held NaN or infinity", "non_finite")])
def test_live_requests_of_a_bad_version_are_answered_by_the_old_one(order, reason, label):
    server = Server(config=CONFIG)
    put(server, 1)
    expected = {number: np.stack([ROWS.sum(axis=1), np.full(len(ROWS), number)], axis=1) for number in (1, 2)}
    with server, Traffic(server, ROWS, expected, model="m") as traffic:
        traffic.wait_more(20)
        put(server, 2, f"run={order}\n")
        assert reason in server.wait_state("m", 2, "quarantined")["reason"]
        traffic.wait_more(40)
        events = {e["event"] for e in server.events() if e["version"] == 2}
        assert {"switched", "rolled_back", "quarantined"} <= events, f"version 2 was tried: {events}"
        status, metrics = server.rest("GET", "/metrics")
        assert status == 200 and f'everlit_rollbacks_total{{model="m",reason="{label}"}} 1' in metrics.decode(), metrics
    traffic.assert_clean()
    assert set(traffic.answers) == {1}, f"only version 1 was ever heard: {traffic.answers}"
