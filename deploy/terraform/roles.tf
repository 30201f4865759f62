# Who may do what. Every policy is a file of ../policies, which the CloudFormation template shares.

locals {
  assume = { for role, service in {
    execution = "ecs-tasks.amazonaws.com"
    task      = "ecs-tasks.amazonaws.com"
    function  = "lambda.amazonaws.com"
    machine   = "states.amazonaws.com"
  } : role => templatefile("${local.policies}/assume.json.tftpl", { service = service }) }

  # What the policies name.
  parts = {
    name       = var.name
    account    = local.account
    region     = var.region
    bucket     = aws_s3_bucket.lake.arn
    key        = local.key_arn
    posts      = one(aws_sqs_queue.posts[*].arn)
    letters    = one(aws_sqs_queue.letters[*].arn)
    alerts     = aws_sns_topic.alerts.arn
    repository = aws_ecr_repository.this.arn
    logs       = aws_cloudwatch_log_group.this.arn
    raw        = one(aws_s3_bucket.raw[*].arn)
    disk       = aws_efs_file_system.main.arn
    access     = aws_efs_access_point.main.arn
    endpoint   = var.sagemaker_endpoint == null ? "none" : var.sagemaker_endpoint
  }

  queue_of_main    = local.has_queues == 1 ? ["listen"] : []
  queue_of_workers = local.has_queues == 1 ? ["understand"] : []
  extra = concat(
    var.engine == "aws" ? ["engines"] : [],
    var.sagemaker_endpoint == null ? [] : ["sagemaker"],
    var.streams ? ["streams"] : [],
  )
  exec = local.balanced == 0 ? ["exec"] : []

  main_policies   = toset(concat(["lake", "alerts", "secrets", "disk"], local.queue_of_main, local.extra, local.exec))
  worker_policies = toset(concat(["lake", "secrets"], local.queue_of_workers, local.extra))
  function_policies = merge(
    { for policy in concat(["lake", "secrets", "function", "understand"], local.extra) : "understand/${policy}" => ["understand", policy] },
    { for policy in concat(["lake", "secrets", "function"], local.extra) : "step/${policy}" => ["step", policy] },
    { for policy in concat(["lake", "secrets", "function", "raw"], local.extra) : "raw/${policy}" => ["raw", policy] if var.raw_events },
  )
}

# What Fargate does for a task: fetches the image and the secrets, writes the log.
resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = local.assume["execution"]
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = templatefile("${local.policies}/execution.json.tftpl", local.parts)
}

resource "aws_iam_role" "main" {
  name               = "${var.name}-main"
  assume_role_policy = local.assume["task"]
}

resource "aws_iam_role_policy" "main" {
  for_each = local.main_policies
  name     = each.value
  role     = aws_iam_role.main.id
  policy   = templatefile("${local.policies}/${each.value}.json.tftpl", local.parts)
}

resource "aws_iam_role" "understand" {
  name               = "${var.name}-understand"
  assume_role_policy = local.assume["task"]
}

resource "aws_iam_role_policy" "understand" {
  for_each = local.worker_policies
  name     = each.value
  role     = aws_iam_role.understand.id
  policy   = templatefile("${local.policies}/${each.value}.json.tftpl", local.parts)
}

resource "aws_iam_role" "function" {
  for_each           = local.functions
  name               = "${var.name}-function-${each.key}"
  assume_role_policy = local.assume["function"]
}

resource "aws_iam_role_policy" "function" {
  for_each = local.is_lambda == 1 ? local.function_policies : {}
  name     = each.value[1]
  role     = aws_iam_role.function[each.value[0]].id
  policy   = templatefile("${local.policies}/${each.value[1]}.json.tftpl", local.parts)
}

resource "aws_iam_role" "machine" {
  count              = local.machine
  name               = "${var.name}-machine"
  assume_role_policy = local.assume["machine"]
}

resource "aws_iam_role_policy" "machine" {
  count  = local.machine
  name   = "machine"
  role   = aws_iam_role.machine[0].id
  policy = templatefile("${local.policies}/machine.json.tftpl", merge(local.parts, { step = aws_lambda_function.this["step"].arn }))
}
