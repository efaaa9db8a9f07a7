#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the small SavedModels that the recorded answers were taken from.

Usage: make_models.py OUT_DIR        (needs tensorflow 2.15; weights are seeded)

Most models are written with the TensorFlow 1 builder, because only that lets a
signature have any method name, any wrong shape and any name for its tensors.
"""
import os
import shutil
import struct
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


def signature(method, inputs, outputs):
    info = tf1.saved_model.build_tensor_info
    return tf1.saved_model.build_signature_def(
        inputs={k: info(v) for k, v in inputs.items()},
        outputs={k: info(v) for k, v in outputs.items()},
        method_name=method,
    )


def write_graph(path, make, tags=("serve",)):
    """Calls make() in a fresh graph; it answers {name: SignatureDef}[, main_op, assets]."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    with tf.Graph().as_default(), tf1.Session() as session:
        answer = make()
        signatures, main_op = answer if isinstance(answer, tuple) else (answer, None)
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session,
            list(tags),
            signature_def_map=signatures,
            main_op=main_op,
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            strip_default_attrs=True,
        )
        builder.save()


def half(addend):
    """y = x / 2 + addend by several signatures; tf.Example features x, x2."""

    def make():
        a = tf1.get_variable("a", initializer=tf.constant(0.5))
        b = tf1.get_variable("b", initializer=tf.constant(float(addend)))
        c = tf1.get_variable("c", initializer=tf.constant(3.0))
        serialized = tf1.placeholder(tf.string, [None], name="tf_example")
        features = tf.io.parse_example(
            serialized,
            {
                "x": tf.io.FixedLenFeature([1], tf.float32),
                "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
            },
        )
        x = tf.identity(features["x"], name="x")
        y = tf.add(tf.multiply(a, x), b, name="y")
        x2 = tf.identity(features["x2"], name="x2")
        y3 = tf.add(tf.multiply(a, x2), c, name="y3")
        return {
            "serving_default": signature(PREDICT, {"x": x}, {"y": y}),
            "regress_x_to_y": signature(REGRESS, {"inputs": serialized}, {"outputs": y}),
            "regress_x2_to_y3": signature(REGRESS, {"inputs": serialized}, {"outputs": y3}),
            "classify_x_to_y": signature(CLASSIFY, {"inputs": serialized}, {"scores": y}),
            "classify_x2_to_y3": signature(CLASSIFY, {"inputs": serialized}, {"scores": y3}),
            "predict_examples": signature(PREDICT, {"examples": serialized}, {"y": y, "y3": y3}),
        }

    return make


def labels():
    """A classifier with string classes, and signatures that are wrong in one way each."""
    serialized = tf1.placeholder(tf.string, [None], name="tf_example")
    features = tf.io.parse_example(
        serialized,
        {
            "age": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
            "visits": tf.io.FixedLenFeature([1], tf.int64, default_value=[0]),
            "country": tf.io.FixedLenFeature([1], tf.string, default_value=["?"]),
        },
    )
    age = features["age"]
    visits = tf.cast(features["visits"], tf.float32)
    scores = tf.identity(tf.concat([age, visits, age - visits], axis=1), name="scores")
    classes = tf.strings.join(
        [tf.tile(tf.constant([["old-", "loyal-", "new-"]]), [tf.shape(age)[0], 1]),
         tf.tile(features["country"], [1, 3])], name="classes")
    total = tf.reduce_sum(scores, axis=1, name="total")
    total_2d = tf.reshape(total, [-1, 1], name="total_2d")
    first_only = tf.identity(scores[:1], name="first_only")
    flat = tf.identity(scores[:, 0], name="flat")
    as_double = tf.cast(scores, tf.float64, name="as_double")
    as_int = tf.cast(scores, tf.int32, name="as_int")
    two_classes = tf.identity(classes[:, :2], name="two_classes")
    numbers = tf1.placeholder(tf.float32, [None], name="numbers")
    inputs = {"inputs": serialized}
    return {
        "serving_default": signature(CLASSIFY, inputs, {"classes": classes, "scores": scores}),
        "classes_only": signature(CLASSIFY, inputs, {"classes": classes}),
        "scores_only": signature(CLASSIFY, inputs, {"scores": scores}),
        "regress": signature(REGRESS, inputs, {"outputs": total}),
        "regress_2d": signature(REGRESS, inputs, {"outputs": total_2d}),
        "classify_wrong_input_key": signature(CLASSIFY, {"examples": serialized}, {"scores": scores}),
        "classify_wrong_output_key": signature(CLASSIFY, inputs, {"probabilities": scores}),
        "classify_two_inputs": signature(CLASSIFY, {"inputs": serialized, "more": numbers}, {"scores": scores}),
        "classify_three_outputs": signature(
            CLASSIFY, inputs, {"classes": classes, "scores": scores, "total": total}),
        "classify_flat_scores": signature(CLASSIFY, inputs, {"scores": flat}),
        "classify_double_scores": signature(CLASSIFY, inputs, {"scores": as_double}),
        "classify_int_classes": signature(CLASSIFY, inputs, {"classes": as_int}),
        "classify_first_only": signature(CLASSIFY, inputs, {"scores": first_only}),
        "classify_two_classes": signature(CLASSIFY, inputs, {"classes": two_classes, "scores": scores}),
        "classify_as_predict": signature(PREDICT, inputs, {"classes": classes, "scores": scores}),
        "regress_wide": signature(REGRESS, inputs, {"outputs": scores}),
        "regress_first_only": signature(REGRESS, inputs, {"outputs": total[:1]}),
        "regress_int": signature(REGRESS, inputs, {"outputs": as_int[:, 0]}),
        "regress_wrong_output_key": signature(REGRESS, inputs, {"total": total}),
        "regress_wrong_input_key": signature(REGRESS, {"examples": serialized}, {"outputs": total}),
        "regress_two_outputs": signature(REGRESS, inputs, {"outputs": total, "scores": scores}),
        "odd_method": signature("my/own/method", inputs, {"classes": classes, "scores": scores}),
        "no_method": signature("", inputs, {"scores": scores}),
    }


ALL_TYPES = [
    tf.float32, tf.float64, tf.half, tf.bfloat16, tf.int8, tf.int16, tf.int32, tf.int64,
    tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.bool, tf.string, tf.complex64, tf.complex128,
]
JSON_TYPES = [
    tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64,
    tf.uint8, tf.uint32, tf.uint64, tf.bool, tf.string,
]


def types():
    """Identity for every dtype: one signature each, and two with all of them."""
    ins = {t: tf1.placeholder(t, [None], name="in_" + t.name) for t in ALL_TYPES}
    outs = {t: tf.identity(ins[t], name="out_" + t.name) for t in ALL_TYPES}
    result = {
        "serving_default": signature(
            PREDICT, {"in_" + t.name: ins[t] for t in JSON_TYPES},
            {"out_" + t.name: outs[t] for t in JSON_TYPES}),
        "everything": signature(
            PREDICT, {"in_" + t.name: ins[t] for t in ALL_TYPES},
            {"out_" + t.name: outs[t] for t in ALL_TYPES}),
    }
    for t in ALL_TYPES:
        result[t.name] = signature(PREDICT, {"x": ins[t]}, {"y": outs[t]})
    number = tf1.placeholder(tf.float64, [None], name="number")
    for t in ALL_TYPES:
        if t not in (tf.string, tf.bool):
            result["to_" + t.name] = signature(
                PREDICT, {"x": number}, {"y": tf.cast(number, t, name="to_" + t.name)})
    any_rank = tf1.placeholder(tf.float32, None, name="any_rank")
    result["any_rank"] = signature(PREDICT, {"x": any_rank}, {"y": tf.identity(any_rank, name="any_rank_out")})
    any_int = tf1.placeholder(tf.int64, None, name="any_rank_int64")
    result["any_rank_int64"] = signature(
        PREDICT, {"x": any_int}, {"y": tf.identity(any_int, name="any_rank_int64_out")})
    any_string = tf1.placeholder(tf.string, None, name="any_rank_string")
    result["any_rank_string"] = signature(
        PREDICT, {"x": any_string}, {"y": tf.identity(any_string, name="any_rank_string_out")})
    fixed = tf1.placeholder(tf.float32, [None, 2, 3], name="fixed")
    result["fixed_2x3"] = signature(PREDICT, {"x": fixed}, {"y": tf.identity(fixed, name="fixed_out")})
    return result


def pair():
    """Two inputs; outputs of several kinds, and some that do not fit the row format."""
    a = tf1.placeholder(tf.float32, [None, 2], name="a")
    b = tf1.placeholder(tf.float32, [None], name="b")
    total = tf.add(tf.reduce_sum(a, axis=1), b, name="total")
    scaled = tf.multiply(a, tf.expand_dims(b, 1), name="scaled")
    text = tf.strings.as_string(total, precision=2, name="text")
    mean = tf.reduce_mean(total, name="mean")
    pair_of = tf.stack([tf.reduce_min(total), tf.reduce_max(total)], name="min_max")
    return {
        "serving_default": signature(
            PREDICT, {"a": a, "b": b},
            {"total": total, "scaled": scaled, "text": text, "text_bytes": text}),
        "total": signature(PREDICT, {"a": a, "b": b}, {"total": total}),
        "with_scalar": signature(PREDICT, {"a": a, "b": b}, {"total": total, "mean": mean}),
        "with_other_batch": signature(PREDICT, {"a": a, "b": b}, {"total": total, "min_max": pair_of}),
        "mean": signature(PREDICT, {"a": a, "b": b}, {"mean": mean}),
        "only_a": signature(PREDICT, {"a": a}, {"sum_a": tf.reduce_sum(a, axis=1, name="sum_a")}),
    }


def scalar():
    """No batch dimension anywhere; one signature with no input at all."""
    x = tf1.placeholder(tf.float32, [], name="x")
    n = tf1.placeholder(tf.int32, [], name="n")
    return {
        "serving_default": signature(PREDICT, {"x": x}, {"y": tf.add(x, 1.0, name="y")}),
        "count": signature(PREDICT, {"n": n}, {"range": tf.range(n, name="range")}),
        "nothing_in": signature(PREDICT, {}, {"answer": tf.constant(42, name="answer")}),
    }


def texts():
    """Strings and bytes in and out."""
    text = tf1.placeholder(tf.string, [None], name="text")
    image = tf1.placeholder(tf.string, [None], name="image_bytes")
    grid = tf1.placeholder(tf.string, [None, None], name="grid")
    return {
        "serving_default": signature(
            PREDICT, {"text": text},
            {"upper": tf.strings.upper(text, name="upper"),
             "raw_bytes": tf.identity(text, name="raw"),
             "length": tf.strings.length(text, name="length")}),
        "echo": signature(PREDICT, {"text": text}, {"text": tf.identity(text, name="echo")}),
        "echo_bytes": signature(PREDICT, {"image_bytes": image}, {"image_bytes": tf.identity(image, name="image")}),
        "grid": signature(PREDICT, {"grid": grid}, {"grid_bytes": tf.identity(grid, name="grid_out")}),
    }


def nonfinite():
    x = tf1.placeholder(tf.float32, [None], name="x")
    d = tf1.placeholder(tf.float64, [None], name="d")
    return {
        "serving_default": signature(
            PREDICT, {"x": x},
            {"log": tf.math.log(x, name="log"), "inverse": tf.math.divide(1.0, x, name="inverse")}),
        "double": signature(
            PREDICT, {"d": d},
            {"log": tf.math.log(d, name="log_d"), "inverse": tf.math.divide(tf.constant(1.0, tf.float64), d)}),
    }


def fails():
    """Ops that answer an error at run time."""
    text = tf1.placeholder(tf.string, [None], name="text")
    index = tf1.placeholder(tf.int32, [None], name="index")
    x = tf1.placeholder(tf.float32, [None, None], name="x")
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x >= 0.0), ["x is negative:", x], name="check")]):
        root = tf.sqrt(x, name="root")
    return {
        "serving_default": signature(PREDICT, {"text": text}, {"number": tf.strings.to_number(text, name="number")}),
        "gather": signature(
            PREDICT, {"index": index}, {"value": tf.gather(tf.constant([10.0, 20.0, 30.0]), index, name="value")}),
        "matmul": signature(PREDICT, {"x": x}, {"y": tf.matmul(x, tf.ones([3, 2]), name="product")}),
        "assert": signature(PREDICT, {"x": x}, {"y": root}),
    }


def nosig():
    x = tf1.placeholder(tf.float32, [None], name="x")
    return {"only_this": signature(PREDICT, {"x": x}, {"y": tf.negative(x, name="y")})}


def counter():
    """Variables that requests change."""
    count = tf1.get_variable("count", initializer=tf.constant(0.0), use_resource=True)
    delta = tf1.placeholder_with_default(1.0, [], name="delta")
    new = count.assign_add(delta, read_value=True)
    zero = count.assign(0.0, read_value=True)
    return {
        "serving_default": signature(PREDICT, {"delta": delta}, {"count": tf.identity(new, name="new")}),
        "reset": signature(PREDICT, {}, {"count": tf.identity(zero, name="zero")}),
        "get": signature(PREDICT, {}, {"count": tf.identity(count.read_value(), name="read")}),
    }


def varlen():
    """[batch, length]: for padding inside a batch."""
    x = tf1.placeholder(tf.float32, [None, None], name="x")
    return {
        "serving_default": signature(
            PREDICT, {"x": x},
            {"sum": tf.reduce_sum(x, axis=1, name="sum"), "same": tf.identity(x, name="same")}),
    }


def blocks():
    """Waits on an empty queue until the step is cancelled."""
    x = tf1.placeholder(tf.float32, [None], name="x")
    queue = tf1.FIFOQueue(1, [tf.float32], shapes=[[]], shared_name="never_filled")
    return {
        "serving_default": signature(PREDICT, {"x": x}, {"y": tf.add(x, queue.dequeue(), name="y")}),
        "quick": signature(PREDICT, {"x": x}, {"y": tf.add(x, 1.0, name="quick")}),
    }


def vocab(word_file):
    """A table read from an asset when the model is loaded."""

    def make():
        text = tf1.placeholder(tf.string, [None], name="text")
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                word_file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), -1)
        tf1.add_to_collection(tf1.GraphKeys.ASSET_FILEPATHS, tf.constant(word_file))
        ids = table.lookup(text, name="ids")
        return ({"serving_default": signature(PREDICT, {"text": text}, {"ids": ids})},
                tf1.tables_initializer())

    return make


class Twice(tf.Module):
    """TensorFlow 2 functions: two signatures, several outputs."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable([[1.0, -1.0], [0.5, 2.0]], name="w")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def both(self, x):
        y = tf.matmul(x, self.w)
        return {"y": y, "argmax": tf.argmax(y, axis=1), "positive": y > 0.0}

    @tf.function(input_signature=[
        tf.TensorSpec([None], tf.int64, name="count"), tf.TensorSpec([None], tf.string, name="word")])
    def mix(self, count, word):
        return {"line": tf.strings.join([word, tf.strings.as_string(count)], "-")}


def mlp(path):
    tf.keras.utils.set_random_seed(7)
    model = tf.keras.Sequential([
        tf.keras.layers.InputLayer(input_shape=(784,), name="image"),
        tf.keras.layers.Dense(128, activation="relu", name="hidden"),
        tf.keras.layers.Dense(10, name="logits"),
    ])

    @tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name="image")])
    def probabilities(image):
        return {"probabilities": tf.nn.softmax(model(image))}

    @tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name="image")])
    def digit(image):
        logits = model(image)
        return {"digit": tf.argmax(logits, axis=1), "logits": logits}

    tf.saved_model.save(model, path, signatures={"serving_default": probabilities, "digit": digit})


def set_defaults(path):
    """Gives input x2 of serving_default a default value in the SignatureDef."""
    from tensorflow.core.protobuf import saved_model_pb2
    name = os.path.join(path, "saved_model.pb")
    model = saved_model_pb2.SavedModel.FromString(open(name, "rb").read())
    entry = model.meta_graphs[0].signature_def["serving_default"]
    entry.defaults["x2"].CopyFrom(tf.make_tensor_proto([100.0], tf.float32))
    open(name, "wb").write(model.SerializeToString(deterministic=True))


def defaulted():
    x = tf1.placeholder(tf.float32, [None], name="x")
    x2 = tf1.placeholder(tf.float32, [None], name="x2")
    return {"serving_default": signature(PREDICT, {"x": x, "x2": x2}, {"y": tf.add(x, x2, name="y")})}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def write_records(path, records):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        for record in records:
            length = struct.pack("<Q", len(record))
            out.write(length + struct.pack("<I", crc32c(length)) + record + struct.pack("<I", crc32c(record)))


def bytes_field(number, data):
    def varint(n):
        parts = []
        while n > 127:
            parts.append(n & 127 | 128)
            n >>= 7
        return bytes(parts + [n])
    return varint(number << 3 | 2) + varint(len(data)) + data


def predict_log(model, input_name, tensor):
    """A PredictionLog{predict_log{request{model_spec, inputs}}}, written by hand."""
    entry = bytes_field(1, input_name.encode()) + bytes_field(2, tensor.SerializeToString())
    request = bytes_field(1, bytes_field(1, model.encode())) + bytes_field(2, entry)
    return bytes_field(6, bytes_field(1, request))


def main(out):
    out = os.path.abspath(out)

    def at(*parts):
        return os.path.join(out, *parts)

    for version, addend in ((1, 2), (2, 3), (3, 4)):
        write_graph(at("half", str(version)), half(addend))
    for name, make in (("labels", labels), ("types", types), ("pair", pair), ("scalar", scalar),
                       ("texts", texts), ("nonfinite", nonfinite), ("fails", fails), ("nosig", nosig),
                       ("counter", counter), ("varlen", varlen), ("blocks", blocks),
                       ("defaulted", defaulted)):
        write_graph(at(name, "1"), make)
    set_defaults(at("defaulted", "1"))

    with tempfile.TemporaryDirectory() as folder:  # relative, so that no path of this machine is kept
        here = os.getcwd()
        os.chdir(folder)
        open("words.txt", "w").write("alpha\nbeta\ngamma\n")
        write_graph(at("vocab", "1"), vocab("words.txt"))
        os.chdir(here)

    twice = Twice()
    tf.saved_model.save(twice, at("twice", "1"), signatures={"serving_default": twice.both, "mix": twice.mix})
    mlp(at("mlp", "1"))

    # half with a batching_params.pbtxt of its own
    write_graph(at("half_batch", "1"), half(2))
    open(at("half_batch", "1", "batching_params.pbtxt"), "w").write(
        "max_batch_size { value: 2 }\nbatch_timeout_micros { value: 1000 }\nmax_enqueued_batches { value: 100 }\n")

    # under another tag
    write_graph(at("tagged", "1"), half(2), tags=("serve", "special"))

    # warm-up records: one that fits, one that does not
    for name, tensor in (("warm", tf.make_tensor_proto([[1.0]], tf.float32)),
                         ("warm_bad", tf.make_tensor_proto(["text"]))):
        write_graph(at(name, "1"), half(2))
        write_records(at(name, "1", "assets.extra", "tf_serving_warmup_requests"),
                      [predict_log(name, "x", tensor)])

    # directories that are no models
    os.makedirs(at("empty", "1"), exist_ok=True)
    open(at("empty", "1", "README"), "w").write("nothing to load here\n")
    os.makedirs(at("garbage", "1"), exist_ok=True)
    open(at("garbage", "1", "saved_model.pb"), "wb").write(b"this is not a protocol buffer")
    os.makedirs(at("no_versions"), exist_ok=True)
    open(at("no_versions", "README"), "w").write("no version directory beside this file\n")
    os.makedirs(at("partial"), exist_ok=True)
    write_graph(at("partial", "1"), half(2))
    os.makedirs(at("partial", "2"), exist_ok=True)
    open(at("partial", "2", "saved_model.pb"), "wb").write(b"this is not a protocol buffer")
    # a variable file is missing
    write_graph(at("no_variables", "1"), half(2))
    shutil.rmtree(at("no_variables", "1", "variables"))

    # what changes between two runs of this script and is not needed to serve
    for folder, _, files in os.walk(out):
        for name in files:
            if name in ("fingerprint.pb", "keras_metadata.pb"):
                os.remove(os.path.join(folder, name))


if __name__ == "__main__":
    main(sys.argv[1])
