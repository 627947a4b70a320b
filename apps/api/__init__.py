"""The API: takes documents, tells their status, and searches by meaning."""
