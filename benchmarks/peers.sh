#!/bin/sh
# Installs what the benchmarks need beside artstore: some from Debian, the others into an environment each.
# usage: benchmarks/peers.sh FOLDER     then: python -m benchmarks.run peers --peers FOLDER
set -eu
folder=${1:?usage: benchmarks/peers.sh FOLDER}
missing=
for package in git rsync restic borgbackup git-annex; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
    apt-get update
    # shellcheck disable=SC2086  # one word per package
    apt-get install -y --no-install-recommends $missing
fi
for requirement in dvc==3.67.1 oxenai==0.65.1 trackio==0.43.0 wandb==0.31.0 mlflow==3.17.2; do
    name=${requirement%%==*}
    own=$folder/${name%ai}
    python3 -m venv "$own"
    "$own/bin/pip" install --quiet "$requirement"
    "$own/bin/pip" show "$name" | sed -n '1,2p'
done
