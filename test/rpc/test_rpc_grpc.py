# SPDX-License-Identifier: Apache-2.0
"""The transport, spoken to with the real gRPC client: grpcio. The server is echo_server.c.

    EVERLIT_ECHO_SERVER=build/release/test/echo_server pytest test/rpc/test_rpc_grpc.py
"""
import gc
import os
import signal
import subprocess
import threading
import time

import grpc
import pytest

SERVER = os.environ["EVERLIT_ECHO_SERVER"]
LIMIT_S = 60  # only a test that fails waits so long


def identity(message):
    return message


class Server:
    def __enter__(self):
        self.process = subprocess.Popen([SERVER, "2", "0", "0"], stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        self.port = int(words[1])
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(LIMIT_S) == 0

    def channel(self, **options):
        defaults = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1,
                    "grpc.use_local_subchannel_pool": 1}
        defaults.update({"grpc." + name: value for name, value in options.items()})
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=list(defaults.items()))


def method(channel, name):
    return channel.unary_unary("/echo.Echo/" + name, request_serializer=identity, response_deserializer=identity)


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.fixture
def channel(server):
    with server.channel() as channel:
        yield channel


def test_a_message_comes_back(channel):
    for size in (0, 1, 5, 3100, 16379, 16384, 65536, 1000000):
        message = os.urandom(size)
        assert method(channel, "Unary")(message, timeout=LIMIT_S) == message


def test_64_megabytes_both_ways(channel):
    message = os.urandom(1 << 20) * 64
    begin = time.monotonic()
    assert method(channel, "Unary")(message, timeout=LIMIT_S) == message
    print(f"64 MB and back: {time.monotonic() - begin:.2f} s")


def test_200_calls_at_once_on_one_connection(channel):
    later = method(channel, "Later")
    messages = [os.urandom(1000 + i) for i in range(200)]
    futures = [later.future(message, timeout=LIMIT_S) for message in messages]
    assert [future.result() for future in futures] == messages


def test_large_messages_at_once_share_a_connection(server):
    """Again and again: frames of several answers meet the end of the write buffer at any place."""
    messages = [bytes([i]) * (2000000 + 4321 * i) for i in range(8)]
    for _ in range(10):
        with server.channel() as channel:
            unary = method(channel, "Unary")
            futures = [unary.future(message, timeout=LIMIT_S) for message in messages]
            assert [future.result() for future in futures] == messages


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests(channel, compression):
    message = b"light " * 100000
    unary = method(channel, "Unary")
    assert unary(message, timeout=LIMIT_S, compression=compression) == message


def test_a_compressed_request_that_grows_too_large_is_refused(channel):
    with pytest.raises(grpc.RpcError) as error:
        method(channel, "Unary")(bytes(257 << 20), timeout=LIMIT_S, compression=grpc.Compression.Gzip)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "decompresses to more than" in error.value.details()


def test_unknown_methods_are_unimplemented_without_a_text(channel):
    for path in ("/echo.Echo/Nope", "/no.Service/Unary"):
        call = channel.unary_unary(path, request_serializer=identity, response_deserializer=identity)
        with pytest.raises(grpc.RpcError) as error:
            call(b"x" * 100000, timeout=LIMIT_S)
        assert (error.value.code(), error.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "")


@pytest.mark.parametrize("text", ["no", "50% größer\nthan the limit", "x" * 1024])
def test_status_messages_arrive_as_they_were(channel, text):
    with pytest.raises(grpc.RpcError) as error:
        method(channel, "Fail")(text.encode(), timeout=LIMIT_S)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, text)


def test_long_status_messages_are_cut_at_1024_bytes(channel):
    with pytest.raises(grpc.RpcError) as error:
        method(channel, "Fail")(b"y" * 5000, timeout=LIMIT_S)
    assert error.value.details() == "y" * 1012 + "...TRUNCATED"


def cancelled(channel):
    return int(method(channel, "Cancelled")(b"", timeout=LIMIT_S))


def wait_until(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def test_a_deadline_ends_a_call_and_the_handler_learns_of_it(channel):
    before = cancelled(channel)
    begin = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        method(channel, "Never")(b"x", timeout=0.2)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.19 < time.monotonic() - begin < 5
    wait_until(lambda: cancelled(channel) == before + 1)


def test_a_cancelled_call_reaches_the_handler(channel):
    before = cancelled(channel)
    futures = [method(channel, "Never").future(b"x") for _ in range(20)]
    method(channel, "Unary")(b"x", timeout=LIMIT_S)  # the others are with the server now, too
    for future in futures:
        future.cancel()
    wait_until(lambda: cancelled(channel) == before + 20)


def test_a_client_that_vanishes_cancels_its_calls(server, channel):
    before = cancelled(channel)
    with server.channel() as other:
        futures = [method(other, "Never").future(b"x") for _ in range(5)]
        method(other, "Unary")(b"x", timeout=LIMIT_S)
    del futures
    gc.collect()
    wait_until(lambda: cancelled(channel) == before + 5)


def test_server_streaming(channel):
    stream = channel.unary_stream("/echo.Echo/Stream", request_serializer=identity, response_deserializer=identity)
    for size in (0, 100, 1000000):
        message = os.urandom(size)
        assert list(stream(message, timeout=LIMIT_S)) == [message] * 10


def each(channel):
    return channel.stream_stream("/echo.Echo/Each", request_serializer=identity, response_deserializer=identity)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_both_directions_stream(channel, compression):
    messages = [os.urandom(size) for size in (1, 0, 5, 100, 0, 70000, 1 << 20)] + [b"x"] * 1000
    assert list(each(channel)(iter(messages), timeout=LIMIT_S, compression=compression)) == messages
    assert list(each(channel)(iter([]), timeout=LIMIT_S)) == []


def test_a_stream_is_answered_while_it_goes_on(channel):
    answered = threading.Semaphore(1)

    def conversation():
        for i in range(100):
            assert answered.acquire(timeout=LIMIT_S), f"no answer to message {i - 1}"
            yield b"%d" % i
    for i, answer in enumerate(each(channel)(conversation(), timeout=LIMIT_S)):
        assert answer == b"%d" % i
        answered.release()
    assert i == 99


def test_a_stream_ends_when_its_handler_says_so(channel):
    answers = each(channel)(iter([b"go", b"stop", b"go"]), timeout=LIMIT_S)
    assert next(answers) == b"go"
    with pytest.raises(grpc.RpcError) as error:
        next(answers)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "stop")


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_of_a_stream_has_a_limit(channel, compression):
    answers = each(channel)(iter([b"go", bytes((1 << 20) + 1)]), timeout=LIMIT_S, compression=compression)
    assert next(answers) == b"go"
    with pytest.raises(grpc.RpcError) as error:
        next(answers)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_waiting_stream_does_not_hold_up_the_end():
    with Server() as server, server.channel() as channel:
        talking = threading.Event()

        def conversation():
            yield b"hello"
            talking.wait(LIMIT_S)
        answers = each(channel)(conversation(), timeout=LIMIT_S)
        assert next(answers) == b"hello"
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as error:
            next(answers)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(5) == 0  # its grace is 10 s
        talking.set()


def test_metadata_beyond_the_limit_is_refused_and_the_connection_lives(channel):
    unary = method(channel, "Unary")
    with pytest.raises(grpc.RpcError) as error:
        unary(b"x", timeout=LIMIT_S, metadata=[("big", "x" * 40000), ("more", "x" * 40000)])
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert unary(b"x", timeout=LIMIT_S) == b"x"


def test_keepalive_pings_are_answered(server):
    with server.channel(keepalive_time_ms=100, keepalive_timeout_ms=2000, keepalive_permit_without_calls=1,
                        **{"http2.max_pings_without_data": 0, "http2.min_time_between_pings_ms": 50}) as channel:
        assert method(channel, "Unary")(b"x", timeout=LIMIT_S) == b"x"
        broken = []
        channel.subscribe(lambda state: broken.append(state) if state == grpc.ChannelConnectivity.TRANSIENT_FAILURE
                          else None)
        with pytest.raises(grpc.RpcError) as error:  # a second of pings, without a word between
            method(channel, "Never")(b"x", timeout=1)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert broken == []


def test_a_drain_loses_no_call():
    """Calls flow all the time while servers that share nothing are drained one after the other."""
    answers, failures, stop = [], [], threading.Event()
    with Server() as first:
        channels = [first.channel() for _ in range(4)]

        def ask(channel):
            later = method(channel, "Later")
            while not stop.is_set():
                try:
                    answers.append(later(b"x", timeout=LIMIT_S))
                except grpc.RpcError as error:
                    failures.append(error)
                    return

        threads = [threading.Thread(target=ask, args=(channel,)) for channel in channels for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) > 500)
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(LIMIT_S) == 0
        for thread in threads:
            thread.join(LIMIT_S)
        stop.set()
        # Each client's last call found nobody to connect to: that is not the drain's loss.
        lost = [failure for failure in failures
                if "failed to connect to all addresses" not in failure.details()]
        assert lost == []
        assert set(answers) == {b"x"}
        for channel in channels:
            channel.close()
