# Plans and applies of the module with a mocked provider: `make test-deploy`.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::lake" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:queue.fifo", url = "https://sqs.eu-central-1.amazonaws.com/1/queue.fifo" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/1" }
  }
  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
      domain_validation_options = [{
        domain_name           = "voice.example.org"
        resource_record_name  = "_1.voice.example.org"
        resource_record_type  = "CNAME"
        resource_record_value = "_2.acm-validations.aws"
      }]
    }
  }
  mock_resource "aws_ecr_repository" {
    defaults = { repository_url = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/overheard" }
  }
}

variables {
  region = "eu-central-1"
}

run "by_default_a_listener_workers_and_sqs" {
  command = apply

  assert {
    condition     = aws_sqs_queue.posts[0].fifo_queue && endswith(aws_sqs_queue.posts[0].name, ".fifo")
    error_message = "the queue of posts must be a FIFO queue"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.posts[0].redrive_policy).maxReceiveCount == 100
    error_message = "a worker gives back what is not its turn: 5 tries are too few"
  }
  assert {
    condition     = alltrue([for queue in concat(aws_sqs_queue.posts, aws_sqs_queue.letters, aws_sqs_queue.dead) : queue.kms_master_key_id == aws_kms_key.this[0].arn])
    error_message = "queues must be encrypted with the key"
  }
  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation
    error_message = "the key must be rotated"
  }
  assert {
    condition     = one(one(aws_s3_bucket_versioning.lake.versioning_configuration[*]).status[*]) == "Enabled"
    error_message = "the bucket must keep versions"
  }
  assert {
    condition     = alltrue([aws_s3_bucket_public_access_block.lake.block_public_acls, aws_s3_bucket_public_access_block.lake.block_public_policy, aws_s3_bucket_public_access_block.lake.ignore_public_acls, aws_s3_bucket_public_access_block.lake.restrict_public_buckets])
    error_message = "the bucket must not be public"
  }
  assert {
    condition     = one(one(one(aws_s3_bucket_server_side_encryption_configuration.lake.rule[*]).apply_server_side_encryption_by_default[*]).sse_algorithm[*]) == "aws:kms"
    error_message = "the bucket must be encrypted with the key"
  }
  assert {
    condition     = one(aws_ecs_service.main.deployment_circuit_breaker[*]).rollback && one(aws_ecs_service.understand[0].deployment_circuit_breaker[*]).rollback
    error_message = "a version that doesn't start must be rolled back"
  }
  assert {
    condition     = aws_ecs_service.main.desired_count == 1 && aws_ecs_service.main.deployment_maximum_percent == 100
    error_message = "there must never be two listeners"
  }
  assert {
    condition     = strcontains(aws_ecs_task_definition.main.container_definitions, "listen,detect,serve\"")
    error_message = "main must not understand while there are workers"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.understand[0].container_definitions)[0].readonlyRootFilesystem
    error_message = "a worker's disk must be read-only"
  }
  assert {
    condition     = alltrue([for definition in [aws_ecs_task_definition.main, aws_ecs_task_definition.understand[0]] : jsondecode(definition.container_definitions)[0].user == "65532:65532"])
    error_message = "containers must not run as root"
  }
  assert {
    condition     = !strcontains(aws_ecs_task_definition.main.container_definitions, "AWS_SECRET_ACCESS_KEY")
    error_message = "tasks get their credentials from their role"
  }
  assert {
    condition     = aws_efs_file_system.main.encrypted && aws_efs_file_system.main.kms_key_id == aws_kms_key.this[0].arn
    error_message = "the listener's disk must be encrypted"
  }
  assert {
    condition     = sort(keys(aws_iam_role_policy.main)) == tolist(["alerts", "disk", "exec", "lake", "listen", "secrets"])
    error_message = "main's policies are not those that it needs"
  }
  assert {
    condition     = sort(keys(aws_iam_role_policy.understand)) == tolist(["lake", "secrets", "understand"])
    error_message = "the workers' policies are not those that they need"
  }
  assert {
    condition     = length(aws_lambda_function.this) == 0 && length(aws_sfn_state_machine.this) == 0 && length(aws_lb.this) == 0 && length(aws_s3_bucket.replica) == 0
    error_message = "what was not asked for must not be made"
  }
  assert {
    condition     = sort(keys(aws_glue_catalog_table.this)) == tolist(["alerts", "anomalies", "entities", "key_phrases", "raw", "sentiment"])
    error_message = "the six tables of the lake must be in the catalog"
  }
  assert {
    condition     = alltrue([for table in aws_glue_catalog_table.this : table.parameters.table_type == "DELTA" && endswith(one(table.storage_descriptor[*]).location, "/lake/${table.name}/")])
    error_message = "tables must be Delta tables at the lake's address"
  }
  assert {
    condition     = one(aws_athena_workgroup.this.configuration[*]).enforce_workgroup_configuration && one(aws_athena_workgroup.this.configuration[*]).bytes_scanned_cutoff_per_query == 10737418240
    error_message = "queries must be bounded"
  }
  assert {
    condition     = sort(keys(aws_cloudwatch_metric_alarm.this)) == tolist(["dead-batches", "main-stopped", "posts-wait"])
    error_message = "alarms are missing"
  }
  assert {
    condition     = aws_budgets_budget.this[0].limit_amount == "100" && length(aws_budgets_budget.this[0].notification) == 2
    error_message = "the budget is missing"
  }
  assert {
    condition     = alltrue([for parameter in aws_ssm_parameter.secret : parameter.type == "SecureString"])
    error_message = "secrets must be encrypted"
  }
  assert {
    condition     = output.queues.posts != null && output.dashboard == null && output.machine == null
    error_message = "outputs are wrong"
  }
}

run "aws_is_reached" {
  command = plan
  variables {
    ports_out = [80]
  }
  expect_failures = [var.ports_out]
}

run "functions_and_a_state_machine" {
  command = apply
  variables {
    understand = "lambda"
    partitions = 16
  }

  assert {
    condition     = length(aws_ecs_service.understand) == 0 && strcontains(aws_ecs_task_definition.main.container_definitions, "listen,detect,serve,maintain\"") && sort(keys(aws_lambda_function.this)) == tolist(["step", "understand"])
    error_message = "functions must take the workers' place, and main maintain the lake"
  }
  assert {
    condition     = aws_lambda_function.this["understand"].environment[0].variables.OVERHEARD_LAMBDA_ACTION == "understand" && aws_lambda_function.this["step"].environment[0].variables.OVERHEARD_LAMBDA_ACTION == "step"
    error_message = "functions must know what they do"
  }
  assert {
    condition     = aws_sqs_queue.posts[0].visibility_timeout_seconds == 6 * aws_lambda_function.this["understand"].timeout
    error_message = "a batch must stay invisible for six times the function's time"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.posts[0].redrive_policy).maxReceiveCount == 5
    error_message = "a poison batch must reach the dead-letter queue after five tries"
  }
  assert {
    condition     = contains(aws_lambda_event_source_mapping.posts[0].function_response_types, "ReportBatchItemFailures") && aws_lambda_event_source_mapping.posts[0].batch_size == 10
    error_message = "one failed batch must not fail the others"
  }
  assert {
    condition     = one(aws_lambda_event_source_mapping.posts[0].scaling_config[*]).maximum_concurrency == 16
    error_message = "at most one function a partition"
  }
  assert {
    condition     = sort(keys(jsondecode(aws_sfn_state_machine.this[0].definition).States)) == tolist(["Analyse", "Classify", "Locate", "Save"]) && aws_sfn_state_machine.this[0].type == "EXPRESS"
    error_message = "the state machine has other steps"
  }
  assert {
    condition     = !strcontains(aws_sfn_state_machine.this[0].definition, "$${Step}")
    error_message = "the state machine doesn't know its function"
  }
  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "function-errors") && contains(keys(aws_cloudwatch_metric_alarm.this), "machine-failed")
    error_message = "alarms of the functions are missing"
  }
}

run "posts_that_others_write" {
  command = apply
  variables {
    understand = "lambda"
    raw_events = true
  }

  assert {
    condition     = aws_lambda_function.this["raw"].environment[0].variables.OVERHEARD_LAMBDA_ACTION == "s3" && aws_lambda_function.this["raw"].reserved_concurrent_executions == 1
    error_message = "one function at a time must read objects"
  }
  assert {
    condition     = one(aws_s3_bucket_notification.raw[0].lambda_function[*]).filter_prefix == "raw/" && one(aws_kinesis_firehose_delivery_stream.raw[0].extended_s3_configuration[*]).prefix == "raw/"
    error_message = "what Firehose writes must start the function, and what it failed to write must not"
  }
  assert {
    condition     = strcontains(aws_iam_role_policy.function["raw/raw"].policy, "s3:GetObject") && aws_s3_bucket_public_access_block.raw[0].restrict_public_buckets
    error_message = "the function alone must read the bucket"
  }
}

run "one_task_that_does_everything" {
  command = apply
  variables {
    queue    = "embedded"
    main     = { cpu = 256, memory = 1024, spot = true }
    fresh_s  = 60
    insights = false
  }

  assert {
    condition     = length(aws_sqs_queue.posts) == 0 && length(aws_ecs_service.understand) == 0 && strcontains(aws_ecs_task_definition.main.container_definitions, "listen,detect,serve,understand\"")
    error_message = "one task must play all roles"
  }
  assert {
    condition     = !strcontains(aws_ecs_task_definition.main.container_definitions, "OVERHEARD__STATE__URL") && strcontains(aws_ecs_task_definition.main.container_definitions, "\"60000\"")
    error_message = "one task keeps its documents, and commits every fresh_s"
  }
  assert {
    condition     = one(aws_ecs_service.main.capacity_provider_strategy[*]).capacity_provider == "FARGATE_SPOT"
    error_message = "the task must be a spot task"
  }
  assert {
    condition     = output.queues == null
    error_message = "there are no queues"
  }
}

run "nats_of_ones_own" {
  command = apply
  variables {
    queue   = "nats"
    nats    = { servers = ["tls://nats.example.org:4222"], user = "overheard", secret = "nats" }
    secrets = ["admin-password", "nats"]
  }

  assert {
    condition     = length(aws_sqs_queue.posts) == 0 && strcontains(aws_ecs_task_definition.understand[0].container_definitions, "tls://nats.example.org:4222")
    error_message = "workers must know the servers"
  }
  assert {
    condition     = [for secret in jsondecode(aws_ecs_task_definition.understand[0].container_definitions)[0].secrets : secret.name] == ["NATS_PASSWORD"]
    error_message = "the password must come from Parameter Store"
  }
  assert {
    condition     = !contains(keys(aws_iam_role_policy.understand), "understand")
    error_message = "without SQS there is nothing to allow"
  }
}

run "a_domain_with_tls" {
  command = apply
  variables {
    domain  = "voice.example.org"
    zone_id = "Z1"
    open_to = ["203.0.113.0/24"]
  }

  assert {
    condition     = aws_lb_listener.https[0].port == 443 && strcontains(aws_lb_listener.https[0].ssl_policy, "TLS13")
    error_message = "the dashboard must be served over TLS 1.2 or 1.3"
  }
  assert {
    condition     = one(aws_lb_listener.http[0].default_action[*]).type == "redirect"
    error_message = "HTTP must be redirected"
  }
  assert {
    condition     = alltrue([for rule in aws_security_group.balancer[0].ingress : toset(rule.cidr_blocks) == toset(["203.0.113.0/24"])])
    error_message = "the load balancer must be open to open_to alone"
  }
  assert {
    condition     = strcontains(aws_ecs_task_definition.main.container_definitions, "https://voice.example.org") && jsondecode(aws_ecs_task_definition.main.container_definitions)[0].readonlyRootFilesystem
    error_message = "the program must know its address, and its disk be read-only"
  }
  assert {
    condition     = aws_ecs_service.main.enable_execute_command == false && !contains(keys(aws_iam_role_policy.main), "exec")
    error_message = "with a domain nobody needs a way into the container"
  }
  assert {
    condition     = aws_route53_record.validation[0].type == "CNAME" && output.dashboard == "https://voice.example.org"
    error_message = "the certificate must be validated by DNS"
  }
}

run "a_copy_in_another_region_and_engines_of_aws" {
  command = apply
  variables {
    replica_region     = "eu-west-1"
    engine             = "aws"
    sagemaker_endpoint = "categories"
    emails             = ["desk@example.org"]
    budget_usd         = 0
    streams            = true
  }

  assert {
    condition     = aws_s3_bucket.replica[0].region == "eu-west-1" && one(aws_s3_bucket_replication_configuration.lake[0].rule[*]).status == "Enabled"
    error_message = "the lake must be copied"
  }
  assert {
    condition     = one(one(aws_s3_bucket_replication_configuration.lake[0].rule[*]).delete_marker_replication[*]).status == "Enabled"
    error_message = "deletions must be copied as well"
  }
  assert {
    condition     = contains(keys(aws_iam_role_policy.understand), "engines") && contains(keys(aws_iam_role_policy.understand), "sagemaker") && contains(keys(aws_iam_role_policy.understand), "streams")
    error_message = "workers must be allowed to call the engines and streams"
  }
  assert {
    condition     = length(aws_sns_topic_subscription.email) == 1 && length(aws_budgets_budget.this) == 0
    error_message = "one address, no budget"
  }
}

run "an_existing_network_and_key" {
  command = apply
  variables {
    vpc         = { id = "vpc-1", subnets = ["subnet-1", "subnet-2", "subnet-3"], public_subnets = ["subnet-4", "subnet-5"], cidr = "10.0.0.0/16" }
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/own"
  }

  assert {
    condition     = length(aws_vpc.this) == 0 && length(aws_kms_key.this) == 0 && length(aws_efs_mount_target.main) == 3
    error_message = "what exists must not be made again"
  }
  assert {
    condition     = one(aws_ecs_service.main.network_configuration[*]).assign_public_ip == false && aws_sqs_queue.posts[0].kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/own"
    error_message = "the given network and key must be used"
  }
}

run "lambda_needs_sqs" {
  command = plan
  variables {
    understand = "lambda"
    queue      = "nats"
    nats       = { servers = ["tls://nats.example.org:4222"], user = "overheard", secret = "nats" }
    secrets    = ["admin-password", "nats"]
  }
  expect_failures = [var.understand]
}

run "a_domain_needs_its_zone" {
  command = plan
  variables {
    domain = "voice.example.org"
  }
  expect_failures = [var.domain]
}

run "fargate_knows_certain_sizes" {
  command = plan
  variables {
    main = { cpu = 500, memory = 1024 }
  }
  expect_failures = [var.main]
}

run "no_more_workers_than_partitions" {
  command = plan
  variables {
    workers = { max = 9 }
  }
  expect_failures = [var.workers]
}

run "passwords_go_over_tls" {
  command = plan
  variables {
    queue   = "nats"
    nats    = { servers = ["nats://nats.example.org:4222"], user = "overheard", secret = "nats" }
    secrets = ["admin-password", "nats"]
  }
  expect_failures = [var.nats]
}

run "the_copy_is_elsewhere" {
  command = plan
  variables {
    replica_region = "eu-central-1"
  }
  expect_failures = [var.replica_region]
}
