"""CrossGuard policy packs for Docker, Kubernetes and AWS, and the commands that go with them."""
