"""The intelligence service of the system node_intelligence: insights into series of events."""
