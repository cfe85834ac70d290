#!/usr/bin/env bash
# faust-streaming 0.15.3 with orjson 3.13.0: installing a package that Faust does not ask for changes what its JSON says.
#
# Faust takes orjson for its codec "json" as soon as it can be imported, for whatever reason somebody installed it. The same
# program then reads whole numbers beyond 64 bits as floats, so that two ids that differ in their last digit become one, and
# it cannot send such an id any more. A speed that is not a number goes out as null, which its readers take for absent;
# without orjson it goes out as NaN, which a worker with orjson cannot read at all. So workers of one application that were
# installed on different days may not understand each other. Seen on 2026-11-29:
#   without: {"id": 18446744073709551617} -> 18446744073709551617; NaN -> b'NaN' -> nan
#   with:    {"id": 18446744073709551617} -> 1.8446744073709552e+19; sending it: TypeError; NaN -> b'null'; b'NaN' -> error
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q faust-streaming==0.15.3
cd "$folder"
cat >said.py <<'PYTHON'
from faust.serializers.codecs import dumps, loads


def said(function, value):
    try:
        return function("json", value)
    except Exception as error:
        return type(error).__name__


texts = (b'{"id":18446744073709551617}', b'{"id":18446744073709551618}', b"NaN")
print([said(loads, text) for text in texts], [said(dumps, value) for value in ({"id": 2**64 + 1}, float("nan"))])
PYTHON
without=$(venv/bin/python -W ignore said.py)
venv/bin/pip install -q orjson==3.13.0
with=$(venv/bin/python -W ignore said.py)
printf 'without: %s\nwith:    %s\n' "$without" "$with"
[ "$without" = "[{'id': 18446744073709551617}, {'id': 18446744073709551618}, nan] [b'{\"id\":18446744073709551617}', b'NaN']" ]
[ "$with" = "[{'id': 1.8446744073709552e+19}, {'id': 1.8446744073709552e+19}, 'JSONDecodeError'] ['TypeError', b'null']" ]
echo "as described"
