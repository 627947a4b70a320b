"""The aws-hardening pack: a stack that passes, and what each change to it must bring up."""

from __future__ import annotations

import json
from typing import Any

from strata.policies.rules.aws import PACK
from strata.policies.rules.aws.facts import (
    ACCESS_BLOCK,
    BACKUP_SELECTION,
    BROKER,
    BUCKET_POLICY,
    BUCKETS,
    CLUSTER,
    DATABASES,
    DEFAULT_GROUP,
    DOMAIN,
    EGRESS_RULE,
    ENCRYPTIONS,
    FILE_SYSTEM,
    FLOW_LOG,
    FOUR_BLOCKS,
    GROUP,
    GROUP_RULE,
    INGRESS_RULE,
    INSTANCE,
    KEY,
    LOG_GROUP,
    NODE_GROUP,
    PARAMETERS,
    PUBLIC_REPOSITORY,
    REPLICATION_GROUP,
    REPOSITORY,
    REPOSITORY_POLICY,
    ROLE,
    SUBNET,
    TEMPLATE,
    VERSIONINGS,
    VOLUME,
    VPC,
)
from tests.policies.policy_testing import REMOVED, UNKNOWN, Case, Made, Suite, bad, good, unknown

POLICY = "aws:iam/policy:Policy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
ACCOUNT = "arn:aws:iam::111122223333:root"


def document(**statement: Any) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", **statement}]})


TRUST = document(Principal={"Service": "eks.amazonaws.com"}, Action="sts:AssumeRole")
NO_PLAIN = document(
    Effect="Deny",
    Principal="*",
    Action="s3:*",
    Condition={"Bool": {"aws:SecureTransport": "false"}},
)
WORLD = ("0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1")

FIXTURE = {
    "cluster": Made(
        CLUSTER,
        {
            "version": "1.35",
            "vpcConfig": {"endpointPrivateAccess": True, "endpointPublicAccess": False},
            # The key's ARN is not known at the first preview; that it is there is known.
            "encryptionConfig": {"provider": {"keyArn": UNKNOWN}, "resources": ["secrets"]},
            "enabledClusterLogTypes": [
                *("api", "audit", "authenticator", "controllerManager", "scheduler")
            ],
            "accessConfig": {"authenticationMode": "API"},
        },
    ),
    "template": Made(
        TEMPLATE,
        {
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}},
                {"deviceName": "/dev/xvdb", "virtualName": "ephemeral0"},
            ],
        },
    ),
    "vpc": Made(VPC, {"cidrBlock": "10.0.0.0/16"}),
    "private": Made(SUBNET, {"cidrBlock": "10.0.1.0/24"}),
    "gpus": Made(
        NODE_GROUP,
        {
            "instanceTypes": ["g5.xlarge"],
            "launchTemplate": {"id": UNKNOWN, "version": "1"},
            "subnetIds": [UNKNOWN],
            "taints": [{"key": "nvidia.com/gpu", "effect": "NO_SCHEDULE"}],
        },
        made_of={"launchTemplate": ["template"], "subnetIds": ["private"]},
    ),
    "machine": Made(
        INSTANCE,
        {
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "rootBlockDevice": {"encrypted": True},
            "ebsBlockDevices": [{"encrypted": True}],
        },
    ),
    "volume": Made(VOLUME, {"encrypted": True, "tags": {"backup": "daily"}}, protect=True),
    "files": Made(FILE_SYSTEM, {"encrypted": True}, protect=True),
    "selection": Made(
        BACKUP_SELECTION,
        {"resources": [UNKNOWN], "selectionTags": [{"key": "backup", "value": "daily"}]},
        made_of={"resources": ["files"]},
    ),
    "group": Made(
        GROUP,
        {
            "ingress": [
                {"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrBlocks": ["10.0.0.0/8"]}
            ],
            "egress": [
                {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["10.0.0.0/16"]}
            ],
        },
    ),
    "balancer": Made(
        GROUP,
        {
            "tags": {"strata.kind": "load-balancer"},
            "ingress": [
                {
                    "protocol": "tcp",
                    "fromPort": 443,
                    "toPort": 443,
                    "cidrBlocks": ["0.0.0.0/0"],
                    "ipv6CidrBlocks": ["::/0"],
                }
            ],
        },
    ),
    "rule": Made(
        GROUP_RULE,
        {
            "type": "ingress",
            "protocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
            "cidrBlocks": ["10.0.0.0/16"],
        },
    ),
    "inward": Made(
        INGRESS_RULE, {"ipProtocol": "tcp", "fromPort": 1, "toPort": 1, "cidrIpv4": "10.0.0.0/16"}
    ),
    "outward": Made(
        EGRESS_RULE, {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "0.0.0.0/0"}
    ),
    "default": Made(DEFAULT_GROUP, {"vpcId": UNKNOWN}, made_of={"vpcId": ["vpc"]}),
    "flows": Made(FLOW_LOG, {"vpcId": UNKNOWN, "trafficType": "ALL"}, made_of={"vpcId": ["vpc"]}),
    "images": Made(
        REPOSITORY,
        {
            "imageTagMutability": "IMMUTABLE",
            "encryptionConfigurations": [{"encryptionType": "KMS"}],
            "imageScanningConfiguration": {"scanOnPush": True},
        },
    ),
    "sharing": Made(REPOSITORY_POLICY, {"policy": document(Principal={"AWS": ACCOUNT})}),
    "key": Made(
        KEY,
        {
            "enableKeyRotation": True,
            "policy": document(Principal={"AWS": ACCOUNT}, Action="kms:*", Resource="*"),
        },
    ),
    "role": Made(ROLE, {"assumeRolePolicy": TRUST}),
    "allowed": Made(POLICY, {"policy": document(Action="s3:GetObject", Resource="*")}),
    "attached": Made(
        ATTACHMENT, {"policyArn": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"}
    ),
    "bucket": Made(BUCKETS[0], {"bucket": "kept"}, protect=True),
    "block": Made(ACCESS_BLOCK, {"bucket": "kept", **dict.fromkeys(FOUR_BLOCKS, True)}),
    "tls": Made(BUCKET_POLICY, {"bucket": "kept", "policy": NO_PLAIN}),
    "encryption": Made(
        ENCRYPTIONS[0],
        {
            "bucket": "kept",
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}],
        },
    ),
    "versions": Made(
        VERSIONINGS[0], {"bucket": "kept", "versioningConfiguration": {"status": "Enabled"}}
    ),
    "logs": Made(LOG_GROUP, {"retentionInDays": 30}),
    "parameters": Made(PARAMETERS, {"parameters": [{"name": "rds.force_ssl", "value": "1"}]}),
    "database": Made(
        DATABASES[0],
        {
            "engine": "postgres",
            "storageEncrypted": True,
            "backupRetentionPeriod": 7,
            "multiAz": True,
            "deletionProtection": True,
            "parameterGroupName": UNKNOWN,
        },
        protect=True,
        made_of={"parameterGroupName": ["parameters"]},
    ),
    "cache": Made(
        REPLICATION_GROUP,
        {
            "atRestEncryptionEnabled": True,
            "transitEncryptionEnabled": True,
            "transitEncryptionMode": "required",
            "automaticFailoverEnabled": True,
            "multiAzEnabled": True,
            "userGroupIds": ["strata"],
        },
    ),
    "broker": Made(
        BROKER,
        {
            "engineType": "RabbitMQ",
            "deploymentMode": "CLUSTER_MULTI_AZ",
            "publiclyAccessible": False,
            "encryptionOptions": {"kmsKeyId": UNKNOWN, "useAwsOwnedKey": False},
        },
        protect=True,
    ),
    "search": Made(
        DOMAIN,
        {
            "encryptAtRest": {"enabled": True, "kmsKeyId": UNKNOWN},
            "nodeToNodeEncryption": {"enabled": True},
            "domainEndpointOptions": {
                "enforceHttps": True,
                "tlsSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10",
            },
            "advancedSecurityOptions": {"enabled": True},
            "vpcOptions": {"subnetIds": UNKNOWN},
            "clusterConfig": {"zoneAwarenessEnabled": True},
        },
        protect=True,
    ),
}

PUBLIC = {"cluster:vpcConfig.endpointPublicAccess": True}
CIDRS = "cluster:vpcConfig.publicAccessCidrs"

EKS = [
    bad("endpoint/private@cluster")({"cluster:vpcConfig.endpointPrivateAccess": False}),
    bad("endpoint/private@cluster")({"cluster:vpcConfig.endpointPrivateAccess": REMOVED}),
    bad("endpoint/public@cluster endpoint-world/default@cluster")(PUBLIC),
    bad("endpoint/public@cluster endpoint-world/default@cluster")(
        {"cluster:vpcConfig.endpointPublicAccess": REMOVED}
    ),
    bad("endpoint/range@cluster")({**PUBLIC, CIDRS: ["192.0.2.0/24"]}),
    good({**PUBLIC, CIDRS: ["192.0.2.7/32"]}, {"endpoint": {"allowed": ["192.0.2.0/24"]}}),
    good({**PUBLIC, CIDRS: ["2001:db8::1/128"]}, {"endpoint": {"allowed": ["2001:db8::/32"]}}),
    good({**PUBLIC, CIDRS: ["192.0.2.0/24"]}, {"endpoint": {"allowed": ["192.0.2.0/24"]}}),
    bad("endpoint/range@cluster", {"endpoint": {"allowed": ["192.0.2.0/24", "2001:db8::/32"]}})(
        {**PUBLIC, CIDRS: ["192.0.2.0/24", "192.0.3.0/24"]}
    ),
    bad("endpoint/range@cluster", {"endpoint": {"allowed": ["192.0.2.0/24"]}})(
        {**PUBLIC, CIDRS: ["192.0.0.0/16"]}
    ),
    *[
        bad("endpoint/range@cluster endpoint-world/world@cluster")({**PUBLIC, CIDRS: [world]})
        for world in (*WORLD, "nonsense")
    ],
    unknown("cluster:vpcConfig.endpointPublicAccess", "endpoint@cluster endpoint-world@cluster"),
    unknown("cluster:vpcConfig.endpointPrivateAccess", "endpoint@cluster"),
    Case(
        {**PUBLIC, CIDRS: [UNKNOWN, "0.0.0.0/0"]},
        frozenset({"endpoint/range@cluster", "endpoint-world/world@cluster"}),
        frozenset({"endpoint@cluster", "endpoint-world@cluster"}),
    ),
    bad("secrets-kms/key@cluster secrets-kms/resources@cluster")(
        {"cluster:encryptionConfig": REMOVED}
    ),
    bad("secrets-kms/key@cluster")({"cluster:encryptionConfig.provider": {}}),
    bad("secrets-kms/resources@cluster")({"cluster:encryptionConfig.resources": []}),
    unknown("cluster:encryptionConfig.resources", "secrets-kms@cluster"),
    bad("logs/absent@cluster")({"cluster:enabledClusterLogTypes[1]": REMOVED}),
    bad("logs/absent@cluster")({"cluster:enabledClusterLogTypes": REMOVED}),
    unknown("cluster:enabledClusterLogTypes", "logs@cluster"),
    bad("auth/mode@cluster")({"cluster:accessConfig.authenticationMode": "API_AND_CONFIG_MAP"}),
    bad("auth/mode@cluster")({"cluster:accessConfig": REMOVED}),
    unknown("cluster:accessConfig", "auth@cluster"),
    bad("version/unsupported@cluster")({"cluster:version": "1.28"}),
    bad("version/unsupported@cluster")({"cluster:version": REMOVED}),
    good({"cluster:version": "1.40"}, {"version": {"supported": ["1.40"]}}),
    unknown("cluster:version", "version@cluster"),
]

NODES = [
    bad("imds/tokens@template")({"template:metadataOptions.httpTokens": "optional"}),
    bad("imds/tokens@template imds/hops@template")({"template:metadataOptions": REMOVED}),
    bad("imds/hops@template")({"template:metadataOptions.httpPutResponseHopLimit": 2}),
    bad("imds/hops@machine")({"machine:metadataOptions.httpPutResponseHopLimit": REMOVED}),
    good({"template:metadataOptions": {"httpEndpoint": "disabled"}}),
    unknown("template:metadataOptions.httpTokens", "imds@template"),
    bad("imds-nodes/absent@gpus")({"gpus:launchTemplate": REMOVED}),
    bad("imds-nodes/foreign@gpus")({"gpus:made_of": {"subnetIds": ["private"]}}),
    bad("imds-nodes/foreign@gpus")({"gpus:launchTemplate": {"id": "lt-1"}, "gpus:made_of": {}}),
    good({"gpus:launchTemplate": {"id": "lt-1"}, "gpus:made_of": {}, "template:id": "lt-1"}),
    good({"gpus:launchTemplate": {"name": "n"}, "gpus:made_of": {}, "template:name": "n"}),
    bad("ebs/volume@volume")({"volume:encrypted": REMOVED}),
    bad("ebs/root@template")({"template:blockDeviceMappings": REMOVED}),
    bad("ebs/device@template")({"template:blockDeviceMappings[0].ebs.encrypted": "false"}),
    bad("ebs/root-device@machine")({"machine:rootBlockDevice": REMOVED}),
    bad("ebs/more-device@machine")({"machine:ebsBlockDevices[0].encrypted": False}),
    unknown("volume:encrypted", "ebs@volume"),
    unknown(
        "machine:rootBlockDevice",
        "ebs@machine",
        "ebs/more-device@machine",
        change={"machine:ebsBlockDevices[0].encrypted": False},
    ),
    bad("private-nodes/template@template")(
        {"template:networkInterfaces": [{"associatePublicIpAddress": "true"}]}
    ),
    bad("private-nodes/subnet@gpus")({"private:mapPublicIpOnLaunch": True}),
    bad("private-nodes/subnet@gpus")(
        {
            "private:mapPublicIpOnLaunch": True,
            "private:id": "subnet-1",
            "gpus:subnetIds": ["subnet-1"],
            "gpus:made_of": {"launchTemplate": ["template"]},
        }
    ),
    good(
        {
            "private:mapPublicIpOnLaunch": True,
            "private:id": "subnet-1",
            "gpus:subnetIds": ["subnet-2"],
            "gpus:made_of": {"launchTemplate": ["template"]},
        }
    ),
    unknown("private:mapPublicIpOnLaunch", "private-nodes@private"),
    unknown("template:networkInterfaces", "private-nodes@template"),
    bad("node-ssh/open@gpus")({"gpus:remoteAccess": {"ec2SshKey": "k"}}),
    good({"gpus:remoteAccess": {"ec2SshKey": "k", "sourceSecurityGroupIds": ["sg-1"]}}),
    Case(
        {"gpus:remoteAccess": {"ec2SshKey": "k", "sourceSecurityGroupIds": UNKNOWN}},
        unjudged=frozenset({"node-ssh@gpus"}),
    ),
    bad("gpu-placement/group@gpus")({"gpus:taints": REMOVED}),
    bad("gpu-placement/group@gpus")({"gpus:taints[0].key": "other"}),
    bad("gpu-placement/group@gpus")(
        {
            "gpus:taints": REMOVED,
            "gpus:instanceTypes": REMOVED,
            "gpus:amiType": "AL2023_x86_64_NVIDIA",
        }
    ),
    bad("gpu-placement/group@gpus")(
        {"gpus:taints": REMOVED, "gpus:instanceTypes": REMOVED, "gpus:amiType": "AL2_x86_64_GPU"}
    ),
    good({"gpus:taints": REMOVED, "gpus:instanceTypes": ["m7i.large"]}),
    unknown("gpus:taints", "gpu-placement@gpus"),
]

OPEN = {"cidrBlocks": ["0.0.0.0/0"]}

NETWORK = [
    *[
        bad("sg/world@group")({"group:ingress[0].cidrBlocks": ["10.0.0.0/8", world]})
        for world in ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "nonsense")
    ],
    bad("sg/world@group")({"group:ingress[0].ipv6CidrBlocks": ["::/0"]}),
    bad("sg/world@group")({"group:ingress[0].ipv6CidrBlocks": ["8000::/1"]}),
    bad("sg/world@rule")({"rule:cidrBlocks": ["0.0.0.0/0"]}),
    good({"rule:cidrBlocks": ["0.0.0.0/0"]}, {"sg": {"loadBalancers": ["rule"]}}),
    bad("sg/world@inward")({"inward:cidrIpv4": "0.0.0.0/0"}),
    bad("sg/world@inward")({"inward:cidrIpv6": "::/0"}),
    bad("sg/port@balancer")({"balancer:ingress[0].fromPort": 80}),
    bad("sg/port@balancer")({"balancer:ingress[0].toPort": 444}),
    bad("sg/port@balancer")({"balancer:ingress[0].protocol": "-1"}),
    good({"balancer:ingress[0].protocol": "6"}),
    bad("sg/world@balancer")({"balancer:tags": REMOVED}),
    Case({"group:ingress[0].cidrBlocks": [UNKNOWN]}, unjudged=frozenset({"sg@group"})),
    Case(
        {"group:ingress[0].cidrBlocks": [UNKNOWN, "0.0.0.0/0"]},
        frozenset({"sg/world@group"}),
        frozenset({"sg@group"}),
    ),
    bad("sg-egress/world@group")({"group:egress[0].cidrBlocks": ["0.0.0.0/0"]}),
    bad("sg-egress/world@outward")({"outward:ipProtocol": "-1"}),
    bad("sg-egress/world@rule")(
        {"rule:type": "egress", "rule:protocol": "all", "rule:cidrBlocks": ["0.0.0.0/0"]}
    ),
    unknown("outward:ipProtocol", "sg-egress@outward"),
    bad("default-sg/absent@vpc")({"default": REMOVED}),
    bad("default-sg/open@default")({"default:ingress": [{"self": True}]}),
    bad("default-sg/open@default")({"default:egress": [{"self": True}]}),
    good({"default:vpcId": "vpc-1", "default:made_of": {}, "vpc:id": "vpc-1"}),
    bad("default-sg/absent@vpc")({"default:made_of": {}}),
    unknown("default:ingress", "default-sg@default"),
    bad("flow-logs/absent@vpc")({"flows": REMOVED}),
    bad("flow-logs/absent@vpc")({"flows:trafficType": "ACCEPT"}),
    good({"flows:trafficType": "REJECT"}),
    unknown("flows:trafficType", "flow-logs@flows", "flow-logs/absent@vpc"),
]

EVERYBODY = {"AWS": "*"}
OIDC = {"Federated": "arn:aws:iam::111122223333:oidc-provider/x"}

IDENTITY = [
    bad("kms-rotation/off@key")({"key:enableKeyRotation": REMOVED}),
    good({"key:enableKeyRotation": REMOVED, "key:customerMasterKeySpec": "ECC_NIST_P256"}),
    bad("kms-rotation/off@key")(
        {"key:enableKeyRotation": False, "key:customerMasterKeySpec": "SYMMETRIC_DEFAULT"}
    ),
    unknown("key:enableKeyRotation", "kms-rotation@key"),
    bad("kms-policy/world@key")({"key:policy": document(Principal="*")}),
    bad("kms-policy/world@key")({"key:policy": document(Principal=EVERYBODY)}),
    bad("kms-policy/world@key")(
        {"key:policy": {"Statement": {"Effect": "Allow", "Principal": "*"}}}
    ),
    good({"key:policy": document(Principal="*", Condition={"StringEquals": {"a": "b"}})}),
    good({"key:policy": document(Principal="*", Effect="Deny")}),
    bad("kms-policy/error@key")({"key:policy": "no JSON"}),
    unknown("key:policy", "kms-policy@key"),
    bad("iam/star@allowed")({"allowed:policy": document(Action="*", Resource="*")}),
    bad("iam/star@allowed")({"allowed:policy": document(Action=["a:B", "*:*"], Resource=["*"])}),
    bad("iam/service@allowed")({"allowed:policy": document(Action="iam:*", Resource="*")}),
    bad("iam/not-action@allowed")({"allowed:policy": document(NotAction="iam:*", Resource="*")}),
    good({"allowed:policy": document(Effect="Deny", NotAction="iam:*", Resource="*")}),
    good({"allowed:policy": document(Action="*", Resource="arn:aws:s3:::kept")}),
    bad("iam/star@role")(
        {"role:inlinePolicies": [{"name": "x", "policy": document(Action="*", Resource="*")}]}
    ),
    bad("iam/administrator@attached")(
        {"attached:policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    ),
    bad("iam/administrator@role")(
        {"role:managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}
    ),
    unknown("allowed:policy", "iam@allowed"),
    unknown("attached:policyArn", "iam@attached"),
    bad("iam-trust/world@role")({"role:assumeRolePolicy": document(Principal=EVERYBODY)}),
    bad("iam-trust/federated@role")({"role:assumeRolePolicy": document(Principal=OIDC)}),
    bad("iam-trust/federated@role")(
        {
            "role:assumeRolePolicy": document(
                Principal=OIDC, Condition={"StringEquals": {"x:aud": 1}}
            )
        }
    ),
    good(
        {
            "role:assumeRolePolicy": document(
                Principal=OIDC, Condition={"StringEquals": {"x:sub": 1}}
            )
        }
    ),
    good({"role:assumeRolePolicy": document(Principal=OIDC, Effect="Deny")}),
    unknown("role:assumeRolePolicy", "iam-trust@role"),
]

STORAGE = [
    bad("ecr/mutable@images")({"images:imageTagMutability": "MUTABLE"}),
    bad("ecr/key@images")({"images:encryptionConfigurations": REMOVED}),
    bad("ecr/key@images")({"images:encryptionConfigurations[0].encryptionType": "AES256"}),
    bad("ecr/scan@images")({"images:imageScanningConfiguration.scanOnPush": False}),
    bad("ecr/public@open")({"open": Made(PUBLIC_REPOSITORY, {})}),
    bad("ecr/policy@sharing")({"sharing:policy": document(Principal="*")}),
    unknown("images:imageTagMutability", "ecr@images"),
    bad("s3-blocks/absent@bucket")({"block": REMOVED}),
    *[bad("s3-blocks/open@block")({f"block:{name}": False}) for name in FOUR_BLOCKS],
    bad("s3-blocks/absent@bucket")({"block:bucket": "other"}),
    good({"bucket:id": UNKNOWN}),
    good({"block:bucket": UNKNOWN, "block:made_of": {"bucket": ["bucket"]}}),
    unknown("block:blockPublicAcls", "s3-blocks@block"),
    bad("s3-tls/plain@bucket")({"tls": REMOVED}),
    bad("s3-tls/plain@bucket")({"tls:policy": NO_PLAIN.replace("false", "true")}),
    bad("s3-tls/plain@bucket")({"tls:policy": NO_PLAIN.replace("Deny", "Allow")}),
    bad("s3-tls/plain@bucket")({"tls:policy": NO_PLAIN.replace('"*"', '"someone"')}),
    bad("s3-tls/plain@bucket")({"tls:policy": NO_PLAIN.replace('"*"', '"arn:aws:iam::1:role/*"')}),
    bad("s3-tls/plain@bucket")({"tls:policy": NO_PLAIN.replace('"false"', '["true"]')}),
    good({"tls:policy": NO_PLAIN.replace('"*"', '{"AWS": ["*"]}').replace('"false"', '["false"]')}),
    unknown("tls:policy", "s3-tls@bucket"),
    bad("s3-kms/key@bucket")({"encryption": REMOVED}),
    bad("s3-kms/key@bucket")(
        {"encryption:rules[0].applyServerSideEncryptionByDefault.sseAlgorithm": "AES256"}
    ),
    unknown("encryption:rules", "s3-kms@bucket"),
    bad("s3-versioning/off@bucket")({"versions": REMOVED}),
    bad("s3-versioning/off@bucket")({"versions:versioningConfiguration.status": "Suspended"}),
    unknown("versions:versioningConfiguration", "s3-versioning@bucket"),
]

DATA = [
    bad("retention/short@logs")({"logs:retentionInDays": REMOVED}),
    bad("retention/short@logs")({"logs:retentionInDays": 29}),
    bad("retention/short@logs")({"logs:retentionInDays": 0}),
    good({"logs:retentionInDays": 7}, {"retention": {"days": 7}}),
    unknown("logs:retentionInDays", "retention@logs"),
    bad("rds/plain@database")({"database:storageEncrypted": REMOVED}),
    bad("rds/public@database")({"database:publiclyAccessible": True}),
    bad("rds/public@one")(
        {"one": Made("aws:rds/clusterInstance:ClusterInstance", {"publiclyAccessible": True})}
    ),
    unknown(
        "database:storageEncrypted",
        "rds@database",
        "rds/public@database",
        change={"database:publiclyAccessible": True},
    ),
    bad("rds/public@broker")({"broker:publiclyAccessible": True}),
    bad("rds/key@broker")({"broker:encryptionOptions": REMOVED}),
    bad("rds/key@broker")({"broker:encryptionOptions.useAwsOwnedKey": True}),
    unknown("broker:encryptionOptions", "rds@broker"),
    bad("rds/public@search")({"search:vpcOptions": REMOVED}),
    bad("rds/plain@search")({"search:encryptAtRest": REMOVED}),
    unknown("search:encryptAtRest", "rds@search"),
    bad("search-domain/https@search search-domain/old@search")(
        {"search:domainEndpointOptions": REMOVED}
    ),
    bad("search-domain/old@search")(
        {"search:domainEndpointOptions.tlsSecurityPolicy": "Policy-Min-TLS-1-0-2019-07"}
    ),
    bad("search-domain/nodes@search")({"search:nodeToNodeEncryption.enabled": False}),
    bad("search-domain/anybody@search")({"search:advancedSecurityOptions": REMOVED}),
    unknown("search:domainEndpointOptions", "search-domain@search"),
    unknown("search:nodeToNodeEncryption", "search-domain@search"),
    bad("backup/short@database")({"database:backupRetentionPeriod": 6}),
    bad("backup/short@database")({"database:backupRetentionPeriod": REMOVED}),
    unknown("database:backupRetentionPeriod", "backup@database"),
    bad("database-tls/plain@database")({"parameters:parameters[0].value": "0"}),
    bad("database-tls/plain@database")({"parameters:parameters": REMOVED}),
    bad("database-tls/plain@database")(
        {"database:made_of": {}, "database:parameterGroupName": "x"}
    ),
    bad("database-tls/plain@database")({"database:engine": "mysql"}),
    good({"database:engine": "mysql", "parameters:parameters[0].name": "require_secure_transport"}),
    good({"database:engine": "oracle-ee", "parameters:parameters": REMOVED}),
    unknown("parameters:parameters", "database-tls@database"),
    unknown("database:engine", "database-tls@database"),
    bad("deletion-protection/off@database")({"database:deletionProtection": REMOVED}),
    bad("deletion-protection/off@database")({"database:deletionProtection": False}),
    unknown("database:deletionProtection", "deletion-protection@database"),
    bad("standby/zone@database")({"database:multiAz": REMOVED}),
    bad("standby/zone@cache")({"cache:multiAzEnabled": REMOVED}),
    bad("standby/failover@cache")({"cache:automaticFailoverEnabled": False}),
    bad("standby/zone@broker")({"broker:deploymentMode": REMOVED}),
    bad("standby/zone@broker")({"broker:deploymentMode": "SINGLE_INSTANCE"}),
    good({"broker:deploymentMode": "ACTIVE_STANDBY_MULTI_AZ"}),
    unknown("broker:deploymentMode", "standby@broker"),
    bad("standby/zone@search")({"search:clusterConfig.zoneAwarenessEnabled": False}),
    unknown("search:clusterConfig", "standby@search"),
    unknown("database:multiAz", "standby@database"),
    unknown(
        "cache:automaticFailoverEnabled",
        "standby@cache",
        "standby/zone@cache",
        change={"cache:multiAzEnabled": False},
    ),
    bad("cache/plain@cache")({"cache:atRestEncryptionEnabled": REMOVED}),
    bad("cache/transit@cache")({"cache:transitEncryptionEnabled": False}),
    bad("cache/optional@cache")({"cache:transitEncryptionMode": "preferred"}),
    bad("cache/anybody@cache")({"cache:userGroupIds": REMOVED}),
    bad("cache/anybody@cache")({"cache:userGroupIds": []}),
    good({"cache:userGroupIds": REMOVED, "cache:authToken": "a token of many characters"}),
    unknown(
        "cache:atRestEncryptionEnabled",
        "cache@cache",
        "cache/anybody@cache",
        change={"cache:userGroupIds": []},
    ),
    bad("backup-coverage/uncovered@volume")({"volume:tags": REMOVED}),
    bad("backup-coverage/uncovered@volume")({"volume:tags.backup": "weekly"}),
    bad("backup-coverage/uncovered@files")({"selection:made_of": {}, "selection:resources": []}),
    good({"selection:made_of": {}, "selection:resources": ["*"]}),
    bad("backup-coverage/uncovered@files")(
        {"selection:made_of": {}, "selection:resources": ["arn:x"], "files:arn": "arn:y"}
    ),
    good({"selection:made_of": {}, "selection:resources": ["arn:x"], "files:arn": "arn:x"}),
    unknown(
        "selection:selectionTags", "backup-coverage@selection", "backup-coverage/uncovered@volume"
    ),
    *[
        bad(f"stateful-protect/unprotected@{name}")({f"{name}:protect": False})
        for name in ("database", "broker", "search", "bucket", "files", "volume")
    ],
]

SUITE = Suite(
    PACK,
    FIXTURE,
    (*EKS, *NODES, *NETWORK, *IDENTITY, *STORAGE, *DATA),
    # Whether there is a template, or protection, is the program's own saying, never unknown.
    never_unknown=frozenset({"stateful-protect", "imds-nodes"}),
)
