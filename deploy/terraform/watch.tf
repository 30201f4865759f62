# Who is told: the topic for alerts (a channel of kind "sns") and alarms, and the budget.

locals {
  alarms = merge(
    {
      # A service whose task is not there reports nothing.
      main-stopped = {
        namespace  = "AWS/ECS", metric = "MemoryUtilization", statistic = "Maximum", above = 90, periods = 3, period = 300
        dimensions = { ClusterName = aws_ecs_cluster.this.name, ServiceName = aws_ecs_service.main.name }
        missing    = "breaching", text = "The main task is not running, or uses more than 90% of its memory."
      }
    },
    local.has_queues == 0 ? {} : {
      dead-batches = {
        namespace  = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum", above = 0, periods = 1, period = 60
        dimensions = { QueueName = one(aws_sqs_queue.dead[*].name) }
        missing    = "notBreaching", text = "Batches of posts could not be taken; the log of understand says why."
      }
      posts-wait = {
        namespace  = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", statistic = "Maximum", above = 900, periods = 3, period = 300
        dimensions = { QueueName = one(aws_sqs_queue.posts[*].name) }
        missing    = "notBreaching", text = "Posts wait for more than 15 minutes: more workers are needed, or they fail."
      }
    },
    local.is_lambda == 0 ? {} : {
      function-errors = {
        namespace  = "AWS/Lambda", metric = "Errors", statistic = "Sum", above = 0, periods = 3, period = 300
        dimensions = { FunctionName = "${var.name}-understand" }
        missing    = "notBreaching", text = "The function understand fails."
      }
      machine-failed = {
        namespace  = "AWS/States", metric = "ExecutionsFailed", statistic = "Sum", above = 0, periods = 1, period = 300
        dimensions = { StateMachineArn = one(aws_sfn_state_machine.this[*].arn) }
        missing    = "notBreaching", text = "Executions of the state machine fail."
      }
    },
    local.balanced == 0 ? {} : {
      unhealthy = {
        namespace = "AWS/ApplicationELB", metric = "UnHealthyHostCount", statistic = "Maximum", above = 0, periods = 5, period = 60
        dimensions = {
          LoadBalancer = one(aws_lb.this[*].arn_suffix)
          TargetGroup  = one(aws_lb_target_group.main[*].arn_suffix)
        }
        missing = "notBreaching", text = "The dashboard does not answer."
      }
    },
  )
}

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = templatefile("${local.policies}/topic.json.tftpl", { alerts = aws_sns_topic.alerts.arn, account = local.account })
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.emails
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  period              = each.value.period
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_budgets_budget" "this" {
  count        = var.budget_usd == 0 ? 0 : 1
  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.budget_usd)
  limit_unit   = "USD"
  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Application$%s", var.name)]
  }
  notification {
    comparison_operator       = "GREATER_THAN"
    threshold                 = 80
    threshold_type            = "PERCENTAGE"
    notification_type         = "ACTUAL"
    subscriber_sns_topic_arns = [aws_sns_topic.alerts.arn]
  }
  notification {
    comparison_operator       = "GREATER_THAN"
    threshold                 = 100
    threshold_type            = "PERCENTAGE"
    notification_type         = "FORECASTED"
    subscriber_sns_topic_arns = [aws_sns_topic.alerts.arn]
  }
}
