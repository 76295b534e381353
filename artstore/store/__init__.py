"""The store: what lies in a repository: packs, objects, logs, transactions, caches."""
