"""What each field of the model becomes on each platform, as one table.

It tests both platforms (tests/components/test_parity.py), and docs/parity.md is generated from it
(`python -m tests.parity`).
"""
