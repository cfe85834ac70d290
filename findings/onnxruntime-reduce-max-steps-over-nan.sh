#!/usr/bin/env bash
# onnxruntime 1.31.1 (onnx 1.23.2): the largest of some numbers and NaN is a number, where ONNX's own reference says NaN.
#
# `ReduceMax` and `ReduceMin` on the CPU step over NaN; `Max` and `Min` of two tensors, and `ReduceSum` and `ReduceMean` of
# the same one, keep it. So a gap in the measurements disappears inside a network that was exported: a graph whose reference
# answers "unknown" serves a number that looks like a forecast, and a test with `onnx.reference` or with the library that
# trained it does not see that. Seen on 2026-11-29 for [1, NaN, 5, 3]:
#   onnxruntime: ReduceMax 5, ReduceMin 1, ReduceSum NaN, ReduceMean NaN; Max of it and 2: [2, NaN, 5, 3]
#   reference:   ReduceMax NaN, ReduceMin NaN, ReduceSum NaN, ReduceMean NaN; Max of it and 2: [2, NaN, 5, 3]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q onnx==1.23.2 onnxruntime==1.31.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator
from onnxruntime import InferenceSession

SPEEDS = np.array([1, np.nan, 5, 3], np.float32)


def answers(operator, *more, shape):
    values = {"speeds": SPEEDS, **dict(more)}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in values.items()]
    options = {} if more else {"keepdims": 0}
    node = helper.make_node(operator, list(values), ["answer"], **options)
    graph = helper.make_graph([node], "one", inputs, [helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    served, meant = session.run(None, values)[0], ReferenceEvaluator(model).run(None, values)[0]
    print(operator, "onnxruntime", served.tolist(), "reference", np.asarray(meant).tolist())
    return served, meant


for operator, largest in (("ReduceMax", 5), ("ReduceMin", 1)):
    served, meant = answers(operator, shape=())
    assert served == largest, "NaN is kept now"
    assert np.isnan(meant)
for operator in ("ReduceSum", "ReduceMean"):
    served, meant = answers(operator, shape=())
    assert np.isnan(served)
    assert np.isnan(meant)
served, meant = answers("Max", ("two", np.full(4, 2, np.float32)), shape=(4,))
np.testing.assert_array_equal(served, [2, np.nan, 5, 3])
np.testing.assert_array_equal(meant, [2, np.nan, 5, 3])
print("as described")
PYTHON
