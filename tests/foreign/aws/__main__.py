"""A bucket with its key and the log of who read it, as any user of pulumi-aws would write them."""

import json

import pulumi
import pulumi_aws as aws

account = aws.get_caller_identity().account_id

key = aws.kms.Key(
    "key",
    enable_key_rotation=True,
    policy=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
    ),
)
bucket = aws.s3.Bucket("files", opts=pulumi.ResourceOptions(protect=True))
block = aws.s3.BucketPublicAccessBlock(
    "files",
    bucket=bucket.id,
    block_public_acls=True,
    block_public_policy=True,
    ignore_public_acls=True,
    restrict_public_buckets=True,
)
versions = aws.s3.BucketVersioning(
    "files", bucket=bucket.id, versioning_configuration={"status": "Enabled"}
)
encryption = aws.s3.BucketServerSideEncryptionConfiguration(
    "files",
    bucket=bucket.id,
    rules=[
        {
            "apply_server_side_encryption_by_default": {
                "sse_algorithm": "aws:kms",
                "kms_master_key_id": key.arn,
            }
        }
    ],
)
only_tls = aws.iam.get_policy_document(
    statements=[
        {
            "effect": "Deny",
            "principals": [{"type": "*", "identifiers": ["*"]}],
            "actions": ["s3:*"],
            "resources": ["*"],
            "conditions": [
                {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}
            ],
        }
    ]
)
policy = aws.s3.BucketPolicy("files", bucket=bucket.id, policy=only_tls.json)
log = aws.cloudwatch.LogGroup("readers", retention_in_days=90)

pulumi.export("bucket", bucket.id)
