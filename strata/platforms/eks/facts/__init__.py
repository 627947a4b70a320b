"""Tables of what AWS and NVIDIA publish: instance types, regions, versions, images."""
