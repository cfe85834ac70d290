#!/usr/bin/env bash
# crepes 0.9.1 (numpy 2.4.6, scikit-learn 1.9.1): the interval of a forecast whose category was never seen in calibration is [0, 0].
#
# Mondrian conformal regressors take a category for every row, a road or an hour. A category with too few residuals gets the widest
# interval there is, and a warning. One with none gets no warning and an interval of zero to zero, whatever was predicted: the road
# that was opened yesterday is known exactly, and stands.
# Seen on 2026-11-30, 50 km/h predicted, 80 %:
#   ten residuals of its own:   [42, 58]
#   one residual of its own:    [-inf, inf], with a warning
#   none:                       [0, 0], without one
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q crepes==0.9.1 numpy==2.4.6 scikit-learn==1.9.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

import numpy
from crepes import ConformalRegressor


def told(residuals, road):
    """The interval of a road, from so many residuals of road 0."""
    regressor = ConformalRegressor()
    regressor.fit(numpy.arange(float(residuals)), bins=numpy.zeros(residuals, int))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ((low, high),) = regressor.predict_int(numpy.array([50.0]), bins=numpy.array([road]), confidence=0.8)
    print(f"{residuals} residuals of road 0, road {road}: [{low}, {high}], {len(said)} warnings")
    return low, high, len(said)


assert told(10, 0) == (42.0, 58.0, 0)
assert told(1, 0) == (-numpy.inf, numpy.inf, 1)
assert told(10, 2) == (0.0, 0.0, 0), "a category that is new is told otherwise now"
PYTHON
