"""The source documents of the systems, line by line: what of the plan delivers each.

The rows are tested against the plans of both platforms (tests/components/test_documents.py), and the
pages of docs/systems are generated from them (`python -m tests.documents`).
"""
