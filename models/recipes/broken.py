# SPDX-License-Identifier: Apache-2.0
"""One version for each way to fail. All but the failure is right: same signatures, good weights, same answers.

They are miniatures of digits (4x4 blocks averaged, 49-128-10), so that the whole folder stays small. Where an op makes
the failure, its result flows into the answer (times nearly nothing): an engine cannot leave it out.
"""

import os
import shutil

import numpy as np
from tensorflow.core.protobuf import saved_model_pb2

from . import digits
from .tf import tf

NEARLY_NOTHING = 1e-30
LOAD_SECONDS = 30
LARGE_FLOATS = 576 * 2 ** 20  # 2.25 GiB


class AtLoad(tf.saved_model.experimental.TrackableResource):
    """A variable that no file holds: `compute`, run while the version loads, gives it its value."""

    def __init__(self, name, shape, compute):
        super().__init__()
        self._name, self._shape, self._compute = name, shape, compute

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=self._shape, shared_name=self._name, container="")

    def _initialize(self):
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=self._compute())

    def first(self):
        return tf.raw_ops.ResourceGather(resource=self.resource_handle, indices=[0], dtype=tf.float32)


def _sleep(seconds):
    """A float that is ready after so long, without using the processor."""
    one = tf.data.Dataset.range(1)._variant_tensor  # pylint: disable=protected-access
    slow = tf.raw_ops.SleepDataset(
        input_dataset=one, sleep_microseconds=tf.constant(seconds * 1_000_000, tf.int64),
        output_types=[tf.int64], output_shapes=[[]])
    first = tf.raw_ops.TakeDataset(  # otherwise it sleeps once more, to learn that there is no second element
        input_dataset=slow, count=tf.constant(1, tf.int64), output_types=[tf.int64], output_shapes=[[]])
    return tf.cast(tf.raw_ops.DatasetToSingleElement(
        dataset=first, output_types=[tf.int64], output_shapes=[[]])[0], tf.float32)


def _abort():
    """A float that never comes: the process has ended with SIGABRT before."""
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="models/broken: aborts on purpose")]):
        return tf.cast(tf.timestamp(), tf.float32)


def _much_work(x):
    """A float that takes 4 products of 1024x1024 matrices, none of which can be computed beforehand."""
    product = matrix = tf.fill([1024, 1024], 1 / 1024 + NEARLY_NOTHING * tf.reduce_sum(x))
    for _ in range(4):
        product = tf.matmul(product, matrix)
    return tf.reduce_mean(product)


def _with(net, more):
    """The right probabilities, once the float or floats that `more` gives for x are there."""
    return lambda x: net.probabilities(x) + NEARLY_NOTHING * more(x)


def _edit(path, change):
    file_name = os.path.join(path, "saved_model.pb")
    saved = saved_model_pb2.SavedModel()
    with open(file_name, "rb") as file:
        saved.ParseFromString(file.read())
    for meta in saved.meta_graphs:
        change(meta)
    with open(file_name, "wb") as file:
        file.write(saved.SerializeToString(deterministic=True))


def _cut(path, keep):
    """Leaves this part of a file."""
    with open(path, "r+b") as file:
        file.truncate(int(os.path.getsize(path) * keep))


class Maker:
    """Writes the folders; each method that follows is one of them, named after it."""

    def __init__(self, folder):
        self.folder = folder
        x, y, test_x, test_y = digits.pictures()
        net = digits.Digits(3, digits.write_names(), inputs=49)
        digits.train(net, digits.as_input(x), y, 3, 40)
        self.weights = [v.numpy() for v in (net.w1, net.b1, net.w2, net.b2)]
        print(f"broken: the miniature reads {digits.accuracy(net, digits.as_input(test_x), test_y):.1%} right")

    def net(self):
        net = digits.Digits(3, digits.write_names(), inputs=49)
        for variable, value in zip((net.w1, net.b1, net.w2, net.b2), self.weights):
            variable.assign(value)
        return net

    def good(self, *parts):
        path = os.path.join(self.folder, *parts)
        digits.save(self.net(), path)
        return path

    def save(self, name, net, **options):
        digits.save(net, os.path.join(self.folder, name), **options)

    def save_loading(self, name, shape, compute):
        net = self.net()
        net.at_load = AtLoad(name, shape, compute)
        self.save(name, net, prediction=_with(net, lambda x: net.at_load.first()))

    def nan_outputs(self):
        net = self.net()
        net.w2.assign(np.full(net.w2.shape, np.nan, np.float32))
        self.save("nan_outputs", net)

    def wrong_shape(self):
        net = self.net()
        self.save("wrong_shape", net, prediction=lambda x: net.probabilities(x)[:, :7])

    def wrong_shape_undeclared(self):
        net = self.net()
        self.save("wrong_shape_undeclared", net, prediction=lambda x: net.probabilities(x)[:, :7])

        def claim_ten(meta):
            meta.signature_def["serving_default"].outputs["prediction"].tensor_shape.dim[1].size = 10
        _edit(os.path.join(self.folder, "wrong_shape_undeclared"), claim_ten)

    def renamed_input(self):
        self.save("renamed_input", self.net(), input_name="pixels")

    def truncated_pb(self):
        _cut(os.path.join(self.good("truncated_pb"), "saved_model.pb"), 0.6)

    def random_bytes(self):
        with open(os.path.join(self.good("random_bytes"), "saved_model.pb"), "wb") as file:
            file.write(np.random.default_rng(7).bytes(4096))

    def no_variables(self):
        shutil.rmtree(os.path.join(self.good("no_variables"), "variables"))

    def short_variables(self):
        _cut(os.path.join(self.good("short_variables"), "variables", "variables.data-00000-of-00001"), 0.5)

    def aborts(self):
        net = self.net()
        self.save("aborts", net, prediction=_with(net, lambda x: _abort()))

    def aborts_loading(self):
        self.save_loading("aborts_loading", [1], lambda: tf.fill([1], _abort()))

    def slow_load(self):
        self.save_loading("slow_load", [1], lambda: tf.fill([1], _sleep(LOAD_SECONDS)))

    def slow_answer(self):
        net = self.net()
        self.save("slow_answer", net, prediction=_with(net, _much_work))

    def too_much_memory(self):
        self.save_loading("too_much_memory", [LARGE_FLOATS], lambda: tf.fill([LARGE_FLOATS], 1.0))

    def not_a_number(self):
        self.good("not_a_number", "v2-final")


def make(folder):
    maker = Maker(folder)
    for name in (
            "nan_outputs", "wrong_shape", "wrong_shape_undeclared", "renamed_input", "truncated_pb", "random_bytes",
            "no_variables", "short_variables", "aborts", "aborts_loading", "slow_load", "slow_answer",
            "too_much_memory", "not_a_number"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        getattr(maker, name)()
        print(f"broken/{name}")
