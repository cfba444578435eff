"""One cell: configuration, split, training set, fit, evaluation, keys, ledger, records."""
