"""The application of dredge: texts that workers embed through an MCP server, and that are found by meaning."""
