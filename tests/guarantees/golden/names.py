"""The names of the golden repositories."""

from tests.guarantees.golden.make import HERE

NAMES = sorted(path.name.removesuffix(".tar.gz") for path in HERE.glob("*.tar.gz"))
