"""What runs in the cluster for the cluster's own sake."""
