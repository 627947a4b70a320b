"""`python3 -m apps.project88` runs the web application."""

from apps.common import serve
from apps.project88.settings import WebSettings
from apps.project88.web import application

if __name__ == "__main__":
    serve.run("web", WebSettings, application)
