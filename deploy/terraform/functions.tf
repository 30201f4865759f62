# The functions: `understand`, which SQS starts with batches of posts; `step`, the steps of the state machine; and `raw`, which
# objects of others start.

locals {
  # Each with its action.
  actions   = { understand = "understand", step = "step", raw = "s3" }
  functions = local.is_lambda == 0 ? {} : { for name, action in local.actions : name => action if name != "raw" || var.raw_events }
  machine   = local.is_lambda
}

resource "aws_cloudwatch_log_group" "function" {
  for_each          = local.functions
  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = local.key_arn
}

resource "aws_lambda_function" "this" {
  for_each      = local.functions
  function_name = "${var.name}-${each.key}"
  role          = aws_iam_role.function[each.key].arn
  package_type  = "Image"
  image_uri     = local.image
  architectures = [var.architecture == "ARM64" ? "arm64" : "x86_64"]
  memory_size   = var.function.memory
  timeout       = var.function.timeout
  kms_key_arn   = local.key_arn
  # Two at a time might both store a post that is in two objects.
  reserved_concurrent_executions = each.key == "raw" ? 1 : -1
  image_config {
    command = ["lambda"]
  }
  ephemeral_storage {
    size = 2048
  }
  tracing_config {
    mode = "PassThrough"
  }
  environment {
    variables = merge(local.settings, {
      OVERHEARD_DATA_DIR      = "/tmp/overheard"
      OVERHEARD_LAMBDA_ACTION = each.value
    })
  }
  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

# At most one function a partition: more would wait for each other.
resource "aws_lambda_event_source_mapping" "posts" {
  count                   = local.is_lambda
  event_source_arn        = aws_sqs_queue.posts[0].arn
  function_name           = aws_lambda_function.this["understand"].arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
  scaling_config {
    maximum_concurrency = var.partitions
  }
}

resource "aws_cloudwatch_log_group" "machine" {
  count             = local.machine
  name              = "/aws/vendedlogs/states/${var.name}"
  retention_in_days = var.log_days
  kms_key_id        = local.key_arn
}

resource "aws_sfn_state_machine" "this" {
  count      = local.machine
  name       = var.name
  type       = "EXPRESS"
  role_arn   = aws_iam_role.machine[0].arn
  definition = templatefile("${path.module}/../machine.asl.json", { Step = aws_lambda_function.this["step"].arn })
  logging_configuration {
    level                  = "ERROR"
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.machine[0].arn}:*"
  }
  tracing_configuration {
    enabled = true
  }
}
