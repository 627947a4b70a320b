"""What a stack has on AWS: network, keys, roles, control plane, nodes, backups, domain, registry."""
