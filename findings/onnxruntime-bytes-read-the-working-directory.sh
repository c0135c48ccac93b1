#!/usr/bin/env bash
# ONNX Runtime reads the weights of a model that it was given as bytes from the working directory.
#
# A model may keep its weights in other files, by a path beside its own. Given as bytes it has no path, and one would expect an error;
# the files are looked for in the working directory. Whoever checks the bytes' hash has not checked the weights.
# Versions: onnxruntime 1.32.0, onnx 1.23.2.
# Source: not in the documentation of InferenceSession; there is a setting for the folder, session.model_external_initializers_file_folder_path.
# raygen: sets it to an empty folder, so that such models are refused (raygen/evaluation/extractors/onnx_file.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages onnxruntime==1.32.0 onnx==1.23.2
look <<'PY'
import os
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from verdict import verdict

shape = [1, 1000]
graph = helper.make_graph(
    [helper.make_node("Add", ["given", "weights"], ["sum"])],
    "adds",
    [helper.make_tensor_value_info("given", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)],
    [numpy_helper.from_array(np.ones(shape, np.float32), "weights")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
os.chdir(tempfile.mkdtemp())
onnx.save_model(model, "model.onnx", save_as_external_data=True, location="weights.bin")
with open("model.onnx", "rb") as file:
    content = file.read()
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])
(before,) = session.run(None, {"given": np.zeros(shape, np.float32)})
with open("weights.bin", "r+b") as file:
    file.write(np.full(shape, 7, np.float32).tobytes())
session = onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])
(after,) = session.run(None, {"given": np.zeros(shape, np.float32)})
verdict(
    expected="an error, or the same result for the same bytes",
    seen=f"{before[0, 0]:g}, and {after[0, 0]:g} from the same bytes after weights.bin was changed",
    holds=bool((before != after).all()),
)
PY
