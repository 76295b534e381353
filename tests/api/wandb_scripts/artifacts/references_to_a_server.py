"""Track files of an HTTP server by reference.

After: docs, artifacts, track external files
Runs.
"""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import artstore as wandb


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


Path("served").mkdir()
Path("served/model.bin").write_bytes(b"weights")
server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory="served"))
thread = threading.Thread(target=server.serve_forever)
thread.start()
address = f"http://127.0.0.1:{server.server_address[1]}/model.bin"
try:
    with wandb.init(project="references") as run:
        artifact = wandb.Artifact("cnn", type="model")
        artifact.add_reference(address, name="weights/model.bin")
        run.log_artifact(artifact)
    artifact = wandb.Api().artifact("references/cnn:latest")
    assert artifact.manifest.entries["weights/model.bin"].ref == address
    assert Path(artifact.download(), "weights/model.bin").read_bytes() == b"weights"
finally:
    server.shutdown()
    server.server_close()
    thread.join()
