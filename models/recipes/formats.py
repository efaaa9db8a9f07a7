# SPDX-License-Identifier: Apache-2.0
"""The same small models in the other forms that a version may have: text, TensorFlow Lite, ONNX. Test data."""

import os
import shutil

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import small
from .tf import tf


class Line(tf.Module):
    """x [n] -> y = a x + b, and as a second signature its two terms."""

    def __init__(self, a, b):
        super().__init__(name="line")
        self.a, self.b = tf.constant(a), tf.constant(b)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x):
        return {"y": self.a * x + self.b}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def terms(self, x):
        return {"scaled": self.a * x, "shift": self.b + 0 * x}


def _lite(path, net):
    """Converts through a SavedModel, so that the signatures' names come along; each has a subgraph of its own."""
    tf.saved_model.save(net, "line", signatures={"serving_default": net.serve, "terms": net.terms})
    converter = tf.lite.TFLiteConverter.from_saved_model("line", signature_keys=["serving_default", "terms"])
    model = converter.convert()
    shutil.rmtree("line")
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "model.tflite"), "wb") as file:
        file.write(model)


def _lite_without_signatures(path):
    os.makedirs(path, exist_ok=True)
    net = Line(0.5, 2.0)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([net.serve.get_concrete_function()])
    with open(os.path.join(path, "model.tflite"), "wb") as file:
        file.write(converter.convert())


def _onnx_digits(path, saved_model):
    """digits/2 with its weights beside it, one of them in a file of its own."""
    os.makedirs(path, exist_ok=True)
    reader = tf.train.load_checkpoint(os.path.join(saved_model, "variables", "variables"))
    arrays = {}
    for key in reader.get_variable_to_shape_map():
        if key.endswith("/.ATTRIBUTES/VARIABLE_VALUE"):
            arrays[key.split("/")[0]] = reader.get_tensor(key).astype(np.float32)
    weights = []
    for name in ("w1", "b1", "w2", "b2"):
        tensor = numpy_helper.from_array(arrays[name], name)
        if name == "w1":
            with open(os.path.join(path, "w1.bin"), "wb") as file:
                file.write(arrays[name].tobytes())
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", "w1.bin"
        weights.append(tensor)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "w1"], ["m1"]), helper.make_node("Add", ["m1", "b1"], ["a1"]),
         helper.make_node("Relu", ["a1"], ["features"]), helper.make_node("MatMul", ["features", "w2"], ["m2"]),
         helper.make_node("Add", ["m2", "b2"], ["a2"]), helper.make_node("Softmax", ["a2"], ["prediction"], axis=1)],
        "digits",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 784])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["n", 10])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    with open(os.path.join(path, "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())
    onnx.checker.check_model(os.path.join(path, "model.onnx"))


def _text(path):
    """half_plus_two with its graph as text."""
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2
    shutil.rmtree(path, ignore_errors=True)
    small.save_half_plus_two(path)
    binary = os.path.join(path, "saved_model.pb")
    message = saved_model_pb2.SavedModel()
    with open(binary, "rb") as file:
        message.ParseFromString(file.read())
    for graph in message.meta_graphs:  # descriptions of all ops, which nobody needs here: most of the text
        graph.meta_info_def.ClearField("stripped_op_list")
        graph.ClearField("object_graph_def")
    with open(os.path.join(path, "saved_model.pbtxt"), "w", encoding="utf-8") as file:
        file.write(text_format.MessageToString(message))
    os.remove(binary)
    os.remove(os.path.join(path, "fingerprint.pb"))


def write(folder, digits):
    """folder: test/data/models; digits: the SavedModel of digits/2."""
    for name in ("lite", "lite_bare", "lite_beside", "onnx", "text"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    _lite(os.path.join(folder, "lite", "1"), Line(0.5, 2.0))
    _lite_without_signatures(os.path.join(folder, "lite_bare", "1"))
    beside = os.path.join(folder, "lite_beside", "1")
    small.save_half_plus_two(beside)
    _lite(beside, Line(0.5, 3.0))
    _onnx_digits(os.path.join(folder, "onnx", "1"), digits)
    _text(os.path.join(folder, "text", "1"))
