"""Mistakes that people make in a Terraform module, planted one at a time: each must be refused before an apply."""

# Kind, file, what is replaced, by what. The first occurrence is replaced.
MISTAKES = [
    ("unknown argument", "queue.tf", "fifo_queue   ", "fifo         "),
    ("misspelt argument in a nested block", "services.tf", "rollback = true", "roll_back = true"),
    ("missing required argument", "functions.tf", "role          = aws_iam_role.function[each.key].arn\n", ""),
    ("text where a number is wanted", "queue.tf", "message_retention_seconds = 1209600", 'message_retention_seconds = "two weeks"'),
    ("block that does not exist", "storage.tf", "posix_user {", "unix_user {"),
    ("reference to a missing attribute", "outputs.tf", "aws_sns_topic.alerts.arn", "aws_sns_topic.alerts.address"),
    ("resource type that does not exist", "storage.tf", '"aws_efs_backup_policy"', '"aws_efs_backup"'),
    ("reference to a missing resource", "roles.tf", "aws_efs_access_point.main.arn", "aws_efs_access_point.data.arn"),
    ("reference to a missing variable", "storage.tf", "var.deleted_kept_days", "var.kept_days"),
    ("syntax", "watch.tf", 'time_unit    = "MONTHLY"', 'time_unit    = "MONTHLY'),
    ("cycle between resources", "storage.tf", "enable_key_rotation     = true", "enable_key_rotation     = aws_s3_bucket.lake.bucket_domain_name != \"\"\n  tags                    = { bucket = aws_s3_bucket_policy.lake.id, sse = aws_s3_bucket_server_side_encryption_configuration.lake.id }"),
    ("policy that names what is not given", "policies/listen.json.tftpl", "${letters}", "${letter}"),
    ("policy file that does not exist", "roles.tf", '["listen"]', '["listener"]'),
    ("allowed action that nothing calls", "policies/lake.json.tftpl", '"s3:DeleteObject"', '"s3:DeleteBucket", "s3:DeleteObject"'),
    ("missing permission", "policies/understand.json.tftpl", '"sqs:ChangeMessageVisibility", ', ""),
    ("every resource allowed", "policies/listen.json.tftpl", '"${posts}"', '"*"'),
    ("bucket open to the public", "storage.tf", "block_public_policy     = true", "block_public_policy     = false"),
    ("queue without the key", "queue.tf", "  kms_master_key_id         = local.key_arn\n", ""),
    ("queue without a dead-letter queue", "queue.tf", "    maxReceiveCount     = local.receives_max\n", "    maxReceiveCount     = 1000\n"),
    ("visibility shorter than the function", "queue.tf", "6 * var.function.timeout", "var.function.timeout / 2"),
    ("deployment without roll-back", "services.tf", "rollback = true", "rollback = false"),
    ("two listeners during a deployment", "services.tf", "deployment_maximum_percent         = 100", "deployment_maximum_percent         = 200"),
    ("container as root", "services.tf", '"65532:65532"', '"0:0"'),
    ("secret in clear text", "storage.tf", '"SecureString"', '"String"'),
    ("HTTP that is not redirected", "balancer.tf", '    type = "redirect"\n    redirect {\n      protocol    = "HTTPS"\n      port        = "443"\n      status_code = "HTTP_301"\n    }\n', '    type             = "forward"\n    target_group_arn = aws_lb_target_group.main[0].arn\n'),
    ("copy that keeps what was deleted", "replica.tf", 'delete_marker_replication {\n      status = "Enabled"', 'delete_marker_replication {\n      status = "Disabled"'),
    ("failed batch that fails the others", "functions.tf", '["ReportBatchItemFailures"]', "[]"),
    ("Athena without a limit", "catalog.tf", "    bytes_scanned_cutoff_per_query     = var.athena_scan_gb * 1073741824\n", ""),
    ("unformatted file", "network.tf", "  enable_dns_support   = true", "  enable_dns_support = true"),
    ("setting that the program doesn't have", "services.tf", "OVERHEARD__LAKE__REGION ", "OVERHEARD__LAKE__REGIO  "),
    ("template with another queue timing", "cloudformation/overheard.yaml", "Default: 360", "Default: 60"),
    ("template that allows more", "cloudformation/overheard.yaml", "- s3:DeleteObject", "- s3:DeleteObject\n              - s3:DeleteBucket"),
    ("resource in one of the twins alone", "queue.tf", 'resource "aws_sqs_queue" "letters"', 'resource "aws_sns_topic_data_protection_policy" "alerts" {\n  arn    = aws_sns_topic.alerts.arn\n  policy = "{}"\n}\n\nresource "aws_sqs_queue" "letters"'),
    ("output of what may not exist", "outputs.tf", "one(aws_sfn_state_machine.this[*].arn)", "aws_sfn_state_machine.this.arn"),
]


def run(stage, extra):
    """Plants each mistake and says which check refused it. `extra` are further checks: a name, and what it finds
    wrong in a folder."""
    missed = []
    for kind, file, old, _ in MISTAKES:
        assert old in place(stage, file).read_text(), f"{kind}: {file} has no {old!r}"
    for kind, file, old, new in MISTAKES:
        stage.reset()
        path = place(stage, file)
        path.write_text(path.read_text().replace(old, new, 1))
        refused_by = next(refusals(stage, extra), None)
        print(f"{kind}: {f'refused by {refused_by}' if refused_by else 'NOT REFUSED'}", flush=True)
        if not refused_by:
            missed.append(kind)
    print(f"{len(MISTAKES) - len(missed)} of {len(MISTAKES)} planted mistakes refused")
    if missed:
        raise SystemExit(1)


def place(stage, file):
    """A file of the module, or of another folder of `deploy`."""
    return stage.module / file if "/" not in file else stage.module.parent / file


def refusals(stage, extra):
    for name, arguments in stage.steps():
        if not stage.run(*arguments)[0]:
            yield name
    for name, find in extra:
        if list(find(stage.module.parent)):
            yield name
