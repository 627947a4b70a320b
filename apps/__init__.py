"""The reference application: documents are posted, embedded, stored, and found again by meaning."""
