#!/bin/bash
# Runs psycopg_test.py with psycopg 3 from the package index, in a virtual environment under build/. Usage: psycopg.sh HOST PORT
set -eu
folder=$(cd "$(dirname "$0")/../.." && pwd)
venv=$folder/build/psycopg-venv
if [ ! -e "$venv/ready" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'psycopg[binary]==3.2.3'
  touch "$venv/ready"
fi
exec "$venv/bin/python" "$folder/test/clients/psycopg_test.py" "$@"
