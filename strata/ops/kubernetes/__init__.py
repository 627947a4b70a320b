"""A stack in a Kubernetes cluster, for the day-to-day commands."""
