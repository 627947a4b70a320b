"""Container images: what each logical image is, where it comes from, and how it is built without an
image registry."""
