"""The parts of a stack on EKS, on Pulumi mocks."""
