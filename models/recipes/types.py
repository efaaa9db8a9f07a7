# SPDX-License-Identifier: Apache-2.0
"""A model whose signatures take and give every dtype that a TensorFlow signature can name.

Written with the TensorFlow 1 builder, because only that gives tensors the names and shapes that a test wants to see.
"""

from .tf import tf, tf1

NUMBERS = [
    tf.float32, tf.float64, tf.half, tf.bfloat16, tf.int8, tf.int16, tf.int32, tf.int64,
    tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.complex64, tf.complex128,
]
QUANTIZED = [tf.qint8, tf.quint8, tf.qint16, tf.quint16, tf.qint32]
ALL = NUMBERS + [tf.bool, tf.string] + QUANTIZED


def _signature(inputs, outputs):
    info = tf1.saved_model.build_tensor_info
    return tf1.saved_model.build_signature_def(
        {k: info(v) for k, v in inputs.items()}, {k: info(v) for k, v in outputs.items()},
        "tensorflow/serving/predict")


def _graph():
    """{signature name: SignatureDef} in the current graph."""
    x = {t: tf1.placeholder(t, [None], name="x_" + t.name) for t in ALL}
    y = {t: tf.identity(x[t], name="y_" + t.name) for t in ALL}
    usual = NUMBERS + [tf.bool, tf.string]
    result = {
        "serving_default": _signature({"x": x[tf.float32]}, {"y": y[tf.float32]}),
        "everything": _signature({"in_" + t.name: x[t] for t in usual}, {"out_" + t.name: y[t] for t in usual}),
    }
    for t in ALL:
        result["same_" + t.name] = _signature({"x": x[t]}, {"y": y[t]})
    for t in NUMBERS:
        result["double_" + t.name] = _signature({"x": x[t]}, {"y": tf.add(x[t], x[t], name="double_" + t.name)})
    result["not_bool"] = _signature({"x": x[tf.bool]}, {"y": tf.logical_not(x[tf.bool], name="not_bool")})
    joined = tf.strings.join(["<", x[tf.string], ">"], name="angle_string")
    result["angle_string"] = _signature(
        {"x": x[tf.string]}, {"y": joined, "bytes": tf.strings.length(joined, name="length_string")})

    number = tf1.placeholder(tf.float32, [], name="number")
    result["scalar"] = _signature({"x": number}, {"y": tf.add(number, 1.0, name="scalar_y")})
    any_rank = tf1.placeholder(tf.float32, None, name="any_rank")
    result["any_rank"] = _signature({"x": any_rank}, {"y": tf.negative(any_rank, name="any_rank_y")})
    fixed = tf1.placeholder(tf.float32, [2, 3], name="fixed")
    result["fixed_2x3"] = _signature({"x": fixed}, {"y": tf.transpose(fixed, name="fixed_y")})
    grid = tf1.placeholder(tf.string, [None, None], name="grid")
    result["grid_string"] = _signature({"x": grid}, {"y": tf.transpose(grid, name="grid_y")})
    result["two_out"] = _signature(
        {"a": x[tf.float32], "b": x[tf.int64]},
        {"sum": tf.add(x[tf.float32], tf.cast(x[tf.int64], tf.float32), name="two_sum"), "b": y[tf.int64]})
    return result


def save(path):
    with tf.Graph().as_default(), tf1.Session() as session:
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=_graph(), strip_default_attrs=True)
        builder.save()
