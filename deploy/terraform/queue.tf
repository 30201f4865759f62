# The way from the listener to the workers: batches of posts, letters back, and what could not be taken (docs/cluster.md).

locals {
  has_queues = var.queue == "sqs" ? 1 : 0
  is_lambda  = var.understand == "lambda" ? 1 : 0
  # A function gets six tries' time, as AWS advises; a worker says itself how long it needs a message.
  visibility = local.is_lambda == 1 ? 6 * var.function.timeout : 60
  # A worker gives back what is not its turn, which counts as a try.
  receives_max = local.is_lambda == 1 ? 5 : 100
}

resource "aws_sqs_queue" "posts" {
  count                      = local.has_queues
  name                       = "${var.name}-posts.fifo"
  fifo_queue                 = true
  deduplication_scope        = "messageGroup"
  fifo_throughput_limit      = "perMessageGroupId"
  max_message_size           = 1048576
  visibility_timeout_seconds = local.visibility
  message_retention_seconds  = 1209600
  kms_master_key_id          = local.key_arn
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[0].arn
    maxReceiveCount     = local.receives_max
  })
}

resource "aws_sqs_queue" "letters" {
  count                      = local.has_queues
  name                       = "${var.name}-letters.fifo"
  fifo_queue                 = true
  max_message_size           = 1048576
  visibility_timeout_seconds = 60
  message_retention_seconds  = 1209600
  kms_master_key_id          = local.key_arn
}

# Batches that nobody could take. The listener sends them again as long as the lake lacks them.
resource "aws_sqs_queue" "dead" {
  count                     = local.has_queues
  name                      = "${var.name}-dead.fifo"
  fifo_queue                = true
  max_message_size          = 1048576
  message_retention_seconds = 1209600
  kms_master_key_id         = local.key_arn
}
