#!/bin/sh
# Installs what the benchmarks need beside artstore: git, rsync and restic from Debian, dvc into an environment of its own.
# usage: benchmarks/peers.sh FOLDER     then: python -m benchmarks.run peers --dvc FOLDER/bin/dvc
set -eu
folder=${1:?usage: benchmarks/peers.sh FOLDER}
missing=
for tool in git rsync restic; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    apt-get update
    # shellcheck disable=SC2086  # one word per package
    apt-get install -y $missing
fi
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet 'dvc==3.67.1'
"$folder/bin/dvc" --version
