"""Container images: the catalogue, where each image comes from, and builds that need no image
registry."""
