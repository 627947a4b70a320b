"""The application of jimbot: an MCP server that judges hands of cards and remembers them."""
