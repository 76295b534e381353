"""Log molecules of a file.

After: docs, track, log media: molecules
Runs.
Warns: artstore doesn't store Molecule values; log_artifact() stores files
Warns: dropped 'protein': artstore doesn't store Molecule values; log_artifact() stores files
"""

from pathlib import Path

import artstore as wandb

Path("water.pdb").write_text("HETATM    1  O   HOH     1       0.000   0.000   0.000\nEND\n")
with wandb.init(project="molecules", id="m") as run:
    run.log({"protein": wandb.Molecule("water.pdb"), "atoms": 3})
assert wandb.Api().run("molecules/m").summary["atoms"] == 3
