"""Writes the sentence-embedding model as an ONNX graph. Used when an image is built, never when a
service runs."""
