# SPDX-License-Identifier: Apache-2.0
"""TensorFlow, set up so that what it makes is the same each time: one thread, seeded, quiet, no GPU."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf  # noqa: E402  (the settings above must come first)

tf1 = tf.compat.v1
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()
tf.random.set_seed(1)
tf.get_logger().setLevel("ERROR")  # the TensorFlow 1 builder warns at each use; it is used on purpose
