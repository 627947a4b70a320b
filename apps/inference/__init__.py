"""The inference service: texts in, sentence embeddings out, batched across its clients."""
