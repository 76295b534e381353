"""Buckets (S3, Google Cloud Storage, Azure and compatible services) as storage, through obstore."""

from artstore.errors import StorageError

try:
    import obstore  # noqa: F401  # this runs first, whichever module of this package is imported
except ImportError as error:
    raise StorageError(
        "buckets need the package obstore, which is not installed here", hint="`pip install 'artstore[cloud]'` adds it"
    ) from error
