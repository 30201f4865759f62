output "dashboard" {
  description = "Address of the dashboard; null without a domain."
  value       = var.domain == null ? null : "https://${var.domain}"
}

output "repository" {
  description = "Where the image is pushed to."
  value       = aws_ecr_repository.this.repository_url
}

output "lake" {
  description = "Where the lake is."
  value       = local.lake_url
}

output "queues" {
  description = "Addresses of the queues; null without SQS."
  value       = local.has_queues == 0 ? null : { posts = aws_sqs_queue.posts[0].url, letters = aws_sqs_queue.letters[0].url, dead = aws_sqs_queue.dead[0].url }
}

output "topic" {
  description = "Topic of alerts and alarms, for a channel of kind sns."
  value       = aws_sns_topic.alerts.arn
}

output "secrets" {
  description = "Parameters that must be set."
  value       = [for parameter in aws_ssm_parameter.secret : parameter.name]
}

output "athena" {
  description = "Database and workgroup of Athena."
  value       = { database = aws_glue_catalog_database.this.name, workgroup = aws_athena_workgroup.this.name }
}

output "machine" {
  description = "The state machine; null without functions."
  value       = one(aws_sfn_state_machine.this[*].arn)
}
