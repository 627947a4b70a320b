"""GPU application stacks as reusable Pulumi components, on local Docker or on AWS EKS."""
