#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes every model of this repository, the broken ones too, and the test data that goes with them.

    python3 -m venv build/venv-models && build/venv-models/bin/pip install -r models/requirements.txt
    build/venv-models/bin/python models/make.py            # everything
    build/venv-models/bin/python models/make.py test-data  # one part: good, broken or test-data

Weights, splits and order are seeded and training runs on one thread, so the same packages on the same kind of
processor give the same weights; only fingerprint.pb carries a random id.
"""

import os
import shutil
import sys
import tempfile

from recipes import broken, digits, small, testdata

HERE = os.path.dirname(os.path.abspath(__file__))


def fresh(*parts):
    path = os.path.join(HERE, *parts)
    shutil.rmtree(path, ignore_errors=True)
    return path


def make_good():
    x, y, test_x, test_y = digits.pictures()
    x, test_x = digits.as_input(x), digits.as_input(test_x)
    # Version 1 has seen 480 digits once, version 2 all of them 25 times.
    for version, rows, epochs in ((1, 480, 1), (2, len(x), 25)):
        net = digits.Digits(version, digits.write_names())
        digits.train(net, x[:rows], y[:rows], version, epochs)
        digits.save(net, fresh("digits", str(version)))
        print(f"digits/{version}: {digits.accuracy(net, test_x, test_y):.1%} of {len(test_y)} held-out digits right")
    small.save_labels(fresh("labels", "1"))
    print(f"labels/1: {len(small.WORDS)} words")
    small.save_half_plus_two(fresh("half_plus_two", "1"))
    print("half_plus_two/1: y = 0.5 x + 2")


PARTS = {
    "good": make_good,
    "broken": lambda: broken.make(os.path.join(HERE, "broken")),
    "test-data": lambda: testdata.write(os.path.dirname(HERE)),
}


def main():
    wanted = sys.argv[1:] or list(PARTS)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        sys.exit(f"make.py: no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # graphs remember the names of their assets: keep them relative
        for part in wanted:
            PARTS[part]()


if __name__ == "__main__":
    main()
