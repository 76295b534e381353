"""Log HTML from text and from a file.

After: docs, track, log media: HTML
Runs.
"""

from pathlib import Path

import artstore as wandb

Path("some.html").write_text("<h1>Some</h1>")
with wandb.init(project="pages", id="p") as run:
    run.log({"custom_file": wandb.Html(open("some.html"))})
    run.log({"custom_string": wandb.Html('<a href="https://mysite">Link</a>')})
    run.log({"bare": wandb.Html(open("some.html"), inject=False)})
files = wandb.Api().run("pages/p").files()
assert len([file for file in files if file.name.endswith(".html")]) == 3
