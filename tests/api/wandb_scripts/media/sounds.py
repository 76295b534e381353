"""Log sounds from samples and from a file.

After: docs, track, log media: audio
Needs: numpy, soundfile
Runs.
"""

import numpy as np
import soundfile

import artstore as wandb

wave = np.sin(np.arange(800) / 5).astype(np.float32)
soundfile.write("whale.wav", wave, 8000)
with wandb.init(project="sounds", id="s") as run:
    run.log({"whale songs": wandb.Audio(wave, caption="OooOoo", sample_rate=32)})
    run.log({"both": [wandb.Audio("whale.wav", caption="again"), wandb.Audio(wave[:400], sample_rate=8000)]})
summary = wandb.Api().run("sounds/s").summary
assert summary["whale songs"]["_type"] == "audio-file" and summary["both"]["count"] == 2
