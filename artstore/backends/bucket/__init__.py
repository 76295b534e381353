"""Buckets (S3, Google Cloud Storage, Azure, and what speaks like them) as storage, over obstore."""

from artstore.errors import StorageError

try:
    import obstore  # noqa: F401  # whatever of this package is imported, this comes first
except ImportError as error:
    raise StorageError(
        "buckets need the package obstore, which is not installed here", hint="`pip install 'artstore[cloud]'` adds it"
    ) from error
