"""The applications of datapunk: nexus, the gateway of the core services, and cortex, a core service that
stores documents and finds them by meaning."""
