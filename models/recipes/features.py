# SPDX-License-Identifier: Apache-2.0
"""Small exports, one for each way in which SavedModels differ; test/data/README.md says what they are.

ragged, sparse: functions of composite tensors, whose parts are inputs of their own. keras3: model.export() of Keras 3. sharded: one
file for each variable, as a TensorFlow 1 saver with sharding writes them from several devices. tf1: variables of the old kind, a table
that an initializer fills from an asset. big: one variable of 2.2 GB, all zeros but for its last row; its data is not kept, as a test
makes that file with a hole in it.
"""

import json
import os
import shutil

import numpy as np

from .tf import tf, tf1


def _ragged(path):
    class Sums(tf.Module):
        @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)])
        def ask(self, x):
            return {"sum": tf.reduce_sum(x, axis=1), "count": x.row_lengths()}

    module = Sums()
    tf.saved_model.save(module, path, signatures=module.ask)


def _sparse(path):
    class Weighted(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable([[1.0], [10.0], [100.0], [1000.0]], name="weights")

        @tf.function(input_signature=[tf.SparseTensorSpec([None, 4], tf.float32)])
        def ask(self, x):
            return {"y": tf.sparse.sparse_dense_matmul(x, self.weights), "sum": tf.sparse.reduce_sum(x, axis=1)}

    module = Weighted()
    tf.saved_model.save(module, path, signatures=module.ask)


def _keras3(path):
    assert tf.keras.__version__.startswith("3."), tf.keras.__version__
    tf.keras.utils.set_random_seed(3)
    words = tf.keras.Input([6], dtype="int32", name="words")
    other = tf.keras.Input([2], name="other")
    x = tf.keras.layers.Embedding(12, 4)(words)
    x = tf.keras.layers.GRU(5)(x)
    x = tf.keras.layers.Concatenate()([x, other])
    out = {"class": tf.keras.layers.Dense(3, activation="softmax", name="class_of")(x),
           "value": tf.keras.layers.Dense(1, name="value_of")(x)}
    tf.keras.Model({"words": words, "other": other}, out).export(path, verbose=False)


def _with_builder(path, make):
    with tf.Graph().as_default(), tf1.Session() as session:
        signatures, main_op = make()
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map=signatures, main_op=main_op,
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS))
        builder.save()


def _signature(inputs, outputs):
    return tf1.saved_model.predict_signature_def(inputs, outputs)


def _sharded(path):
    def make():
        x = tf1.placeholder(tf.float32, [None, 8], name="x")
        y = x
        for i in range(5):
            start = (np.eye(8, k=i) * (i + 1) + 0.01 * i).astype(np.float32)
            y = tf.matmul(y, tf1.get_variable(f"layer_{i}", initializer=start, use_resource=True))
        return {"serving_default": _signature({"x": x}, {"y": tf.identity(y, name="y")})}, None

    _with_builder(path, make)
    _split_shards(path)


def _split_shards(path):
    """Writes the variables again, each to a file of its own: MergeV2Checkpoints joins their indices, not their data."""
    prefix = os.path.join(path, "variables", "variables")
    reader = tf.train.load_checkpoint(prefix)
    tensors = {name: reader.get_tensor(name) for name in sorted(reader.get_variable_to_shape_map())}
    parts = os.path.join(path, "variables", "part")
    made = []
    for i, (name, value) in enumerate(tensors.items()):
        made.append(f"{parts}-{i:05}-of-{len(tensors):05}")
        tf.raw_ops.SaveV2(prefix=made[-1], tensor_names=[name], shape_and_slices=[""], tensors=[value])
    for name in os.listdir(os.path.join(path, "variables")):
        if name.startswith("variables."):
            os.remove(os.path.join(path, "variables", name))
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=made, destination_prefix=prefix)


def _tf1(path):
    with open("places.txt", "w", encoding="utf-8") as file:
        file.write("Amsterdam\nBergen\nCork\n")

    def make():
        place = tf1.placeholder(tf.string, [None], name="place")
        table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(
            "places.txt", tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), 3)
        heights = tf1.get_variable("heights", initializer=tf.constant([-2.0, 12.0, 30.0, 0.0]), use_resource=False)
        index = table.lookup(place)
        return {"serving_default": _signature(
            {"place": place}, {"index": tf.identity(index, name="index"), "height": tf.gather(heights, index, name="height")})
        }, tf1.tables_initializer()

    _with_builder(path, make)


def _big(path):
    rows = 70_000_000
    with tf.Graph().as_default(), tf1.Session() as session:
        index = tf1.placeholder(tf.int32, [None], name="index")
        table = tf1.get_variable("table", [rows, 8], tf.float32, tf1.zeros_initializer(), use_resource=True)
        last = table.scatter_nd_update([[rows - 1]], tf.constant([[1.0, 2, 3, 4, 5, 6, 7, 8]]))
        row = tf.gather(table, index, name="row")
        session.run(table.initializer)
        session.run(last)
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map={"serving_default": _signature({"index": index}, {"row": row})})
        builder.save()


F = np.float32
MODELS = {
    "ragged": (_ragged, [
        ("three rows", {"x": F([1, 2, 3, 4, 5]), "x_1": np.int64([0, 2, 2, 5])}),
        ("no row", {"x": F([]), "x_1": np.int64([0])})]),
    "sparse": (_sparse, [
        ("two rows", {"x": np.int64([[0, 1], [1, 0], [1, 3]]), "x_1": F([0.5, 2, 3]), "x_2": np.int64([2, 4])}),
        ("an empty row", {"x": np.int64([[1, 2]]), "x_1": F([7]), "x_2": np.int64([3, 4])})]),
    "keras3": (_keras3, [
        ("two", {"words": np.int32([[1, 2, 3, 4, 5, 0], [11, 10, 9, 8, 7, 6]]), "other": F([[0.5, -0.5], [1, 2]])})]),
    "sharded": (_sharded, [("two rows", {"x": F(np.arange(16).reshape(2, 8) / 8)})]),
    "big": (_big, [("first and last", {"index": np.int32([0, 69_999_999])})]),
    "tf1": (_tf1, [("words", {"place": np.array([b"Cork", b"Amsterdam", b"Rome", b"Bergen"], object)})]),
}


def _plain(array):
    values = array.ravel().tolist()
    return {"dtype": "string" if array.dtype == object else array.dtype.name, "shape": list(array.shape),
            "values": [v.decode() for v in values] if array.dtype == object else values}


def write(folder):
    """Each to FOLDER/NAME/1, with what TensorFlow answers in FOLDER/NAME/answers.json."""
    for name, (make, asked) in MODELS.items():
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        path = os.path.join(folder, name, "1")
        make(path)
        cases = []
        with tf.Graph().as_default(), tf1.Session() as session:
            signature = tf1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
            for title, inputs in asked:
                outputs = session.run({key: info.name for key, info in signature.outputs.items()},
                                      {signature.inputs[key].name: value for key, value in inputs.items()})
                cases.append({"name": title, "inputs": {key: _plain(value) for key, value in inputs.items()},
                              "outputs": {key: _plain(outputs[key]) for key in sorted(outputs)}})
        if name == "big":
            os.remove(os.path.join(path, "variables", "variables.data-00000-of-00001"))
        with open(os.path.join(folder, name, "answers.json"), "w", encoding="utf-8") as file:
            json.dump({"tensorflow": tf.__version__, "cases": cases}, file, indent=1)
            file.write("\n")
