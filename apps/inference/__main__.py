"""`python -m apps.inference`"""

from apps.common import serve
from apps.inference.service import application
from apps.inference.settings import InferenceSettings

if __name__ == "__main__":
    serve.run("inference", InferenceSettings, application)
