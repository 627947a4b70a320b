"""Settings that rules of several platforms share."""

from strata.policies.crossguard.rule import setting
from strata.policies.rules import facts

REGISTRIES = setting(
    [facts.OFFICIAL_IMAGES], "Registries, or paths in one, that images may come from."
)
DATASTORES = setting(
    facts.DATASTORE_IMAGES,
    "Images (last part of the name) of datastores. The label strata.kind (on Kubernetes"
    " app.kubernetes.io/component, of objects that Strata manages) overrides the image.",
)
SECRET_NAMES_ALLOWED = setting(
    [], "Variables that look like a secret but aren't one, such as MAX_TOKEN."
)
TOOLKIT_FLOOR = setting(facts.TOOLKIT_FLOOR, "The lowest version that passes.")
GPU_TAINT = setting(facts.GPU_TAINT, "The key of the taint of GPU nodes.")
GPU_FAMILIES = setting(facts.GPU_FAMILIES, "Instance families with GPUs.")
