"""`python3 -m apps.jimbot` runs the MCP server."""

from apps.common import serve
from apps.jimbot.server import application
from apps.jimbot.settings import ServerSettings

if __name__ == "__main__":
    serve.run("app", ServerSettings, application)
