"""CrossGuard policy packs for Docker, Kubernetes and AWS, and the commands that run them."""
