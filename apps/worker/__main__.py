"""`python -m apps.worker`"""

from apps.application.settings import WorkerSettings
from apps.common import serve
from apps.worker.service import application

if __name__ == "__main__":
    serve.run("worker", WorkerSettings, application)
