"""The documents, and the script that writes what they quote from the code."""

from pathlib import Path

TOP = Path(__file__).parents[1]
DOCUMENTS = sorted([*TOP.glob("*.md"), *TOP.glob("benchmarks/*.md"), *TOP.glob("docs/**/*.md")])
"""All documents of the repository."""
