# SPDX-License-Identifier: Apache-2.0
"""The ResNet50-sized SavedModel of the bench: made once, by bench/make_resnet.py, and kept in build/bench-models.

TensorFlow's Python is needed for that one step only. It is installed to a folder of its own (build/bench-python, 1.5 GB)
and removed when the model is there; where build/venv-models exists (models/README.md), that is used instead.
"""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "build" / "bench-models" / "resnet50"
PACKAGES = ROOT / "build" / "bench-python"
LOG = ROOT / "build" / "logs" / "bench-python.log"
VENV = ROOT / "build" / "venv-models" / "bin" / "python"


def install():
    """TensorFlow and what it needs, in PACKAGES."""
    print("bench: installing TensorFlow's Python for one step, the making of a ResNet50 (a minute; only once)", flush=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(PACKAGES, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "install", "--quiet",
               "--no-deps", "--only-binary=:all:", "--no-compile", "--require-hashes", "--progress-bar=off",
               f"--find-links={ROOT / 'build' / 'downloads'}", f"--target={PACKAGES}",
               "-r", str(ROOT / "bench" / "requirements.txt")]
    with open(LOG, "wb") as log:
        status = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode
    if status != 0:
        errors = [line for line in LOG.read_text(errors="replace").splitlines() if line.startswith("ERROR")]
        sys.exit("\n".join(["bench: pip could not install bench/requirements.txt", *errors[:5],
                            f"Is the network there? All that pip said: {LOG}"]))


def make():
    """The folder of the SavedModel, made if it is not there yet."""
    if (MODEL / "saved_model.pb").exists():
        return MODEL
    python, environment = str(VENV), dict(os.environ)
    if not VENV.exists():
        install()
        python, environment["PYTHONPATH"] = sys.executable, str(PACKAGES)
    partial = MODEL.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with open(LOG, "ab") as log:
        made = subprocess.run([python, str(ROOT / "bench" / "make_resnet.py"), str(partial)], env=environment,
                              stdout=log, stderr=log)
    if made.returncode != 0:
        sys.exit(f"bench: bench/make_resnet.py ended with {made.returncode}; what it said: {LOG}")
    os.rename(partial, MODEL)
    shutil.rmtree(PACKAGES, ignore_errors=True)
    print(f"bench: made {MODEL.relative_to(ROOT)}", flush=True)
    return MODEL


if __name__ == "__main__":
    make()
