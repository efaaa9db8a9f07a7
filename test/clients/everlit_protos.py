# SPDX-License-Identifier: Apache-2.0
"""The messages and stubs of TensorFlow Serving's protocols, without TensorFlow.

    from everlit_protos import predict_pb2, prediction_service_pb2_grpc, tensor_proto, ndarray

`tensorflow-serving-api` holds the service messages and stubs; they import TensorFlow's own `*_pb2` modules, and the
package would have the whole of TensorFlow installed for them. `tools/setup --test` therefore installs it without its
dependencies and takes the `*_pb2.py` files out of the engine's wheel into `build/test-protos`. There they form a
namespace package `tensorflow` without any code: `import tensorflow_serving.apis.predict_pb2` works, `tensorflow.constant`
does not exist. After `import everlit_protos` any module of both packages can be imported by its usual name.

Run it with `build/test-venv/bin/python`. `tensor_proto` and `ndarray` stand in for TensorFlow's make_tensor_proto and
make_ndarray; they cover every dtype that has a numpy twin, and strings.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROTOS = os.environ.get("EVERLIT_TEST_PROTOS", os.path.join(ROOT, "build", "test-protos"))

if not os.path.isdir(os.path.join(PROTOS, "tensorflow", "core")):
    raise ImportError(f"{PROTOS} holds no TensorFlow messages: type `tools/setup --test` in {ROOT}")
if PROTOS not in sys.path:
    sys.path.insert(0, PROTOS)

try:
    import numpy as np
    from google.protobuf import text_format  # noqa: F401
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: F401
    from tensorflow.core.framework import tensor_pb2, types_pb2
    from tensorflow.core.protobuf import error_codes_pb2, meta_graph_pb2, saved_model_pb2  # noqa: F401
    from tensorflow_serving.apis import (  # noqa: F401
        classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2, input_pb2, model_management_pb2,
        model_pb2, model_service_pb2_grpc, predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc, regression_pb2)
    from tensorflow_serving.config import model_server_config_pb2  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"{error}. The test clients are in {ROOT}/build/test-venv: type `tools/setup --test` in {ROOT} and run this "
        "with build/test-venv/bin/python") from error

# dtype: (numpy's type, the repeated field that holds single values)
DTYPES = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_HALF: (np.float16, "half_val"),
    types_pb2.DT_INT8: (np.int8, "int_val"),
    types_pb2.DT_INT16: (np.int16, "int_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_UINT16: (np.uint16, "int_val"),
    types_pb2.DT_UINT32: (np.uint32, "uint32_val"),
    types_pb2.DT_UINT64: (np.uint64, "uint64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
    types_pb2.DT_COMPLEX64: (np.complex64, "scomplex_val"),
    types_pb2.DT_COMPLEX128: (np.complex128, "dcomplex_val"),
}
NUMBERS = {np.dtype(kind): dtype for dtype, (kind, _) in DTYPES.items()}


def tensor_proto(values, dtype=None, packed=True):
    """A TensorProto of values. Text and bytes become DT_STRING; Python floats float32, Python integers int64, unless
    `dtype` (numpy's) says otherwise. packed: numbers go to tensor_content, else to the repeated field of their dtype."""
    array = np.asarray(values, dtype=dtype)
    if array.dtype.kind in "US" and not isinstance(values, np.ndarray):
        array = np.asarray(values, dtype=object)  # numpy's own text types drop zero bytes at the end
    if dtype is None and not isinstance(values, (np.ndarray, np.generic)) and array.dtype == np.float64:
        array = array.astype(np.float32)
    proto = tensor_pb2.TensorProto()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "USO":
        proto.dtype = types_pb2.DT_STRING
        proto.string_val.extend(item.encode() if isinstance(item, str) else bytes(item) for item in array.ravel().tolist())
        return proto
    proto.dtype = NUMBERS[array.dtype]
    if packed:
        proto.tensor_content = array.tobytes()
        return proto
    flat = array.ravel()
    if array.dtype == np.float16:
        flat = flat.view(np.uint16)
    elif array.dtype.kind == "c":
        flat = flat.view(flat.real.dtype)
    getattr(proto, DTYPES[proto.dtype][1]).extend(flat.tolist())
    return proto


def ndarray(proto):
    """The numpy array of a TensorProto; strings as an object array of bytes. Raises ValueError when its values do not
    fill its shape (a single value fills any)."""
    shape = [dim.size for dim in proto.tensor_shape.dim]
    count = int(np.prod(shape, dtype=np.int64))
    if proto.dtype == types_pb2.DT_STRING:
        flat = np.array(list(proto.string_val), dtype=object)
    elif proto.dtype not in DTYPES:
        raise ValueError(f"dtype {types_pb2.DataType.Name(proto.dtype)} has no numpy twin here")
    elif proto.tensor_content:
        flat = np.frombuffer(proto.tensor_content, dtype=DTYPES[proto.dtype][0])
    else:
        kind, field = DTYPES[proto.dtype]
        values = list(getattr(proto, field))
        if proto.dtype == types_pb2.DT_HALF:
            flat = np.array(values, dtype=np.uint16).view(np.float16)
        elif np.dtype(kind).kind == "c":
            flat = np.array(values, dtype=np.empty(0, kind).real.dtype).view(kind)
        else:
            flat = np.array(values, dtype=kind)
    if flat.size == 1 and count > 1:
        flat = np.repeat(flat, count)
    if flat.size != count:
        raise ValueError(f"a tensor of shape {shape} holds {flat.size} values instead of {count}")
    return flat.reshape(shape)
