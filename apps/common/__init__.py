"""What every service of the application shares: settings, secrets, logs, sockets, retries,
metrics."""
