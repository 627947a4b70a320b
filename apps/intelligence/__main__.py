"""`python -m apps.intelligence`"""

from apps.common import serve
from apps.intelligence.service import application
from apps.intelligence.settings import IntelligenceSettings

if __name__ == "__main__":
    serve.run("intelligence", IntelligenceSettings, application)
