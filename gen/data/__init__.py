"""Published files to prepared shards, and shards to batches."""
