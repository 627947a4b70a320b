"""What the API and the worker share: the database, the queue, and the way to the inference
service."""
