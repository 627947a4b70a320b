"""The observability stack: metrics, logs, alerts and dashboards of all services of a stack."""
