# SPDX-License-Identifier: Apache-2.0
"""The requests that the bench sends, written byte by byte, so that it needs no package: tensorflow.serving.PredictRequest
as clients write it, the same as JSON, and the raw floats for bench/engine_direct.c."""
import json
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
PIXELS = 784
DT_FLOAT = 1


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor_proto(row):
    """tensorflow.TensorProto of one row [1, n] of floats, in tensor_content, as tf.make_tensor_proto does it."""
    shape = message(2, number(1, 1)) + message(2, number(1, len(row)))
    return number(1, DT_FLOAT) + message(2, shape) + message(4, struct.pack(f"<{len(row)}f", *row))


def predict_request(model, key, row):
    spec = message(1, model.encode())
    entry = message(1, key.encode()) + message(2, tensor_proto(row))
    return message(1, spec) + message(2, entry)


def predict_json(row):
    return json.dumps({"instances": [row]}).encode()


def digits():
    """The held-out digits as models take them: lists of 784 floats from 0 to 1."""
    pixels = (ROOT / "test/data/digits_test.u8").read_bytes()
    return [[value / 16 for value in pixels[at:at + PIXELS]] for at in range(0, len(pixels), PIXELS)]


def floats(rows):
    return b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
