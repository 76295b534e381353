"""The store: everything in a repository's folder: packs, large blobs, logs, transactions, notes, caches."""
