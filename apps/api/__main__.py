"""`python -m apps.api`"""

from apps.api.service import application
from apps.application.settings import ApiSettings
from apps.common import serve

if __name__ == "__main__":
    serve.run("api", ApiSettings, application)
