"""What sets up a machine: from a clean clone to the plain `pulumi` commands, and back."""
