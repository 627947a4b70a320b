"""The application of project88: documents that are read by a Celery worker and found by full text."""
