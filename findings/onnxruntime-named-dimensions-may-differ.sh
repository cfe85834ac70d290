#!/usr/bin/env bash
# onnxruntime 1.31.1 (onnx 1.23.2): two inputs whose dimension has the same name may have different lengths.
#
# A graph that declares roads [moments, 2] and clock [moments, 2] states that both have as many moments. A whole number as a
# dimension is enforced ("Got invalid dimensions for input"), a name is not: three moments of roads with one of the clock run,
# the one row is spread over all three, and every moment is forecast for the hour of the first. Nothing is said, and the
# output, declared with the same name, has three rows. Seen on 2026-11-29:
#   roads (3, 2) and clock (1, 2): answer [[11, 11], [12, 12], [13, 13]]
#   with the dimension 3 in place of the name: InvalidArgument
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.31.1
cd "$folder"
venv/bin/python - 2>errors.log <<'PYTHON'
import numpy as np
from onnx import TensorProto, checker, helper
from onnxruntime import InferenceSession

ROADS = np.array([[1, 1], [2, 2], [3, 3]], np.float32)
CLOCK = np.array([[10, 10]], np.float32)


def answer(moments):
    roads, clock, sums = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [moments, 2]) for name in ("roads", "clock", "sums"))
    graph = helper.make_graph([helper.make_node("Add", ["roads", "clock"], ["sums"])], "sum", [roads, clock], [sums])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model, full_check=True)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"roads": ROADS, "clock": CLOCK})[0]


print(answer("moments").tolist())
assert answer("moments").tolist() == [[11, 11], [12, 12], [13, 13]]
try:
    answer(3)
except Exception as error:
    print(type(error).__name__)
    assert "Got invalid dimensions for input" in str(error)
else:
    raise AssertionError("whole numbers are not enforced either")
print("as described")
PYTHON
