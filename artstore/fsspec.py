"""`artstore://` paths, for users' imports of `artstore.fsspec`."""

from artstore.adapters.fsspec import ArtstoreFileSystem as ArtstoreFileSystem
