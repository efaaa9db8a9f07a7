#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a SavedModel of ResNet50's graph and size (25.6 million floats, 102 MB) with random, seeded weights.

    build/venv-models/bin/python bench/make_resnet.py OUT_DIR     (packages: models/requirements.txt)

OUT_DIR becomes the version's folder and must not exist. serving_default: `input` float [-1, 224, 224, 3] -> `prob` float [-1, 1000].
The answers mean nothing; loading, memory and time are those of the real network. Nothing is downloaded.
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402  (the settings above must come first)

# (blocks, channels inside, channels out, stride of the first block) of the four stages
STAGES = [(3, 64, 256, 1), (4, 128, 512, 2), (6, 256, 1024, 2), (3, 512, 2048, 2)]


class Conv(tf.Module):
    """Convolution, batch normalisation as inference does it, and ReLU where wanted."""

    def __init__(self, random, size, channels_in, channels_out, stride=1):
        super().__init__()
        scale = (2 / (size * size * channels_in)) ** 0.5
        self.stride = stride
        self.kernel = tf.Variable(random.normal(0, scale, [size, size, channels_in, channels_out]).astype(np.float32))
        self.gamma = tf.Variable(tf.ones([channels_out]))
        self.beta = tf.Variable(tf.zeros([channels_out]))
        self.mean = tf.Variable(random.normal(0, 0.01, [channels_out]).astype(np.float32))
        self.variance = tf.Variable(tf.ones([channels_out]))

    def __call__(self, x, relu=True):
        x = tf.nn.conv2d(x, self.kernel, self.stride, "SAME")
        x, *_ = tf.compat.v1.nn.fused_batch_norm(
            x, self.gamma, self.beta, self.mean, self.variance, epsilon=1e-5, is_training=False)
        return tf.nn.relu(x) if relu else x


class Block(tf.Module):
    """1x1, 3x3, 1x1, and the way around them."""

    def __init__(self, random, channels_in, inside, channels_out, stride):
        super().__init__()
        self.first = Conv(random, 1, channels_in, inside)
        self.second = Conv(random, 3, inside, inside, stride)
        self.third = Conv(random, 1, inside, channels_out)
        self.around = Conv(random, 1, channels_in, channels_out, stride) if channels_in != channels_out else None

    def __call__(self, x):
        around = self.around(x, relu=False) if self.around else x
        # A third of the branch: random weights would otherwise grow from block to block.
        return tf.nn.relu(around + self.third(self.second(self.first(x)), relu=False) / 3)


class ResNet50(tf.Module):
    def __init__(self, seed=50):
        super().__init__(name="resnet50")
        random = np.random.default_rng(seed)
        self.stem = Conv(random, 7, 3, 64, 2)
        self.blocks = []
        channels = 64
        for count, inside, channels_out, stride in STAGES:
            for n in range(count):
                self.blocks.append(Block(random, channels, inside, channels_out, stride if n == 0 else 1))
                channels = channels_out
        self.weights = tf.Variable(random.normal(0, 0.02, [channels, 1000]).astype(np.float32))
        self.bias = tf.Variable(tf.zeros([1000]))

    @tf.function(input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.float32, name="input")])
    def serve(self, x):
        x = tf.nn.max_pool2d(self.stem(x), 3, 2, "SAME")
        for block in self.blocks:
            x = block(x)
        return {"prob": tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), self.weights) + self.bias)}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: make_resnet.py OUT_DIR")
    out = sys.argv[1]
    if os.path.exists(out):
        sys.exit(f"make_resnet.py: {out} is there already; give the name of a folder to make")
    start = time.monotonic()
    net = ResNet50()
    floats = sum(int(np.prod(v.shape)) for v in net.variables)
    tf.saved_model.save(net, out, signatures={"serving_default": net.serve})
    size = sum(os.path.getsize(os.path.join(folder, f)) for folder, _, files in os.walk(out) for f in files)
    print(f"{out}: {floats / 1e6:.1f} million floats, {size / 1e6:.0f} MB, {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
