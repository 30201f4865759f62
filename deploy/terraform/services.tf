# The tasks on Fargate: main (listens, detects, serves) and workers (understand). A version that doesn't start is rolled back.

locals {
  port  = 8480
  image = var.image == null ? "${aws_ecr_repository.this.repository_url}:${var.image_tag}" : var.image
  data  = "/var/lib/overheard"
  # Functions do no upkeep of the lake, workers do.
  main_roles = join(",", concat(
    ["listen", "detect", "serve"],
    var.queue == "embedded" ? ["understand"] : var.understand == "lambda" ? ["maintain"] : [],
  ))
  has_workers = var.understand == "fargate" && var.queue != "embedded" ? 1 : 0

  # Settings of every process.
  settings = merge(
    {
      OVERHEARD_CONFIG_TOML                 = var.config
      OVERHEARD__LAKE__URL                  = local.lake_url
      OVERHEARD__LAKE__REGION               = var.region
      OVERHEARD__LAKE__REFRESH_MS           = tostring(var.queue == "embedded" ? 600000 : var.look_s * 1000)
      OVERHEARD__UNDERSTAND__BATCH_EVERY_MS = tostring(var.fresh_s * 1000)
      OVERHEARD__QUEUE__ENGINE              = var.queue
      OVERHEARD__QUEUE__PARTITIONS          = tostring(var.queue == "embedded" ? 1 : var.partitions)
    },
    # One process needs no documents in the bucket, of which every look is a request.
    var.queue == "embedded" ? {} : {
      OVERHEARD__STATE__URL        = local.lake_url
      OVERHEARD__STATE__REFRESH_MS = tostring(var.look_s * 1000)
    },
    var.queue != "sqs" ? {} : {
      OVERHEARD__QUEUE__SQS__REGION      = var.region
      OVERHEARD__QUEUE__SQS__QUEUE_URL   = one(aws_sqs_queue.posts[*].url)
      OVERHEARD__QUEUE__SQS__LETTERS_URL = one(aws_sqs_queue.letters[*].url)
    },
    var.queue != "nats" ? {} : {
      OVERHEARD__QUEUE__NATS__SERVERS      = join(",", var.nats.servers)
      OVERHEARD__QUEUE__NATS__USER         = var.nats.user
      OVERHEARD__QUEUE__NATS__PASSWORD_ENV = "NATS_PASSWORD"
    },
  )
  main_settings = merge(
    local.settings,
    {
      OVERHEARD_DATA_DIR                    = local.data
      OVERHEARD__SERVER__ADMIN_PASSWORD_ENV = "ADMIN_PASSWORD"
      OVERHEARD__LAKE__COUNTS_MEMORY_MB     = tostring(var.main.counts_memory)
      OVERHEARD__LAKE__CACHE_FOLDER         = "/tmp/lake-cache"
      OVERHEARD__LAKE__SPILL_FOLDER         = "/tmp/spill"
    },
    local.balanced == 0 ? {} : {
      OVERHEARD__SERVER__BIND            = "0.0.0.0:${local.port}"
      OVERHEARD__SERVER__PUBLIC_URL      = "https://${var.domain}"
      OVERHEARD__SERVER__TRUSTED_PROXIES = local.cidr
    },
  )
  nats_secret  = var.queue == "nats" ? { NATS_PASSWORD = var.nats.secret } : {}
  main_secrets = merge({ ADMIN_PASSWORD = "admin-password" }, local.nats_secret)

  # The parts of the containers that both tasks share.
  container = {
    image                  = local.image
    essential              = true
    readonlyRootFilesystem = true
    user                   = "65532:65532"
    stopTimeout            = 110
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"], add = [] } }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "overheard"
      }
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/tasks"
  retention_in_days = var.log_days
  kms_key_id        = local.key_arn
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  setting {
    name  = "containerInsights"
    value = var.insights ? "enabled" : "disabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_ecs_task_definition" "main" {
  family                   = "${var.name}-main"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.main.cpu
  memory                   = var.main.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.main.arn
  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
  volume {
    name = "data"
    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.main.id
      transit_encryption = "ENABLED"
      authorization_config {
        access_point_id = aws_efs_access_point.main.id
        iam             = "ENABLED"
      }
    }
  }
  volume {
    name = "tmp"
  }
  container_definitions = jsonencode([merge(local.container, {
    name         = "main"
    command      = ["up", "--role", local.main_roles]
    portMappings = [{ containerPort = local.port, protocol = "tcp" }]
    environment  = [for name, value in local.main_settings : { name = name, value = value }]
    secrets      = [for name, secret in local.main_secrets : { name = name, valueFrom = aws_ssm_parameter.secret[secret].arn }]
    # Without a load balancer the dashboard is reached through ECS Exec, whose agent writes to the container's disk.
    readonlyRootFilesystem = local.balanced == 1
    mountPoints = [
      { sourceVolume = "data", containerPath = local.data, readOnly = false },
      { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
    ]
  })])
}

# One task at a time: it holds the connections to the sources and the lock of the data folder.
resource "aws_ecs_service" "main" {
  name                               = "main"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.main.arn
  desired_count                      = 1
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  enable_execute_command             = local.balanced == 0
  propagate_tags                     = "SERVICE"
  health_check_grace_period_seconds  = local.balanced == 1 ? 120 : null
  capacity_provider_strategy {
    capacity_provider = var.main.spot ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets          = local.subnets
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = local.public_ip
  }
  dynamic "load_balancer" {
    for_each = aws_lb_target_group.main
    content {
      target_group_arn = load_balancer.value.arn
      container_name   = "main"
      container_port   = local.port
    }
  }
  depends_on = [aws_ecs_cluster_capacity_providers.this, aws_efs_mount_target.main, aws_lb_listener.https]
}

resource "aws_ecs_task_definition" "understand" {
  count                    = local.has_workers
  family                   = "${var.name}-understand"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.workers.cpu
  memory                   = var.workers.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.understand.arn
  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
  volume {
    name = "tmp"
  }
  container_definitions = jsonencode([merge(local.container, {
    name        = "understand"
    command     = ["up", "--role", "understand"]
    environment = [for name, value in merge(local.settings, { OVERHEARD_DATA_DIR = "/tmp/overheard" }) : { name = name, value = value }]
    secrets     = [for name, secret in local.nats_secret : { name = name, valueFrom = aws_ssm_parameter.secret[secret].arn }]
    mountPoints = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
  })])
}

resource "aws_ecs_service" "understand" {
  count                              = local.has_workers
  name                               = "understand"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.understand[0].arn
  desired_count                      = var.workers.min
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  propagate_tags                     = "SERVICE"
  capacity_provider_strategy {
    capacity_provider = var.workers.spot ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets          = local.subnets
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = local.public_ip
  }
  lifecycle {
    ignore_changes = [desired_count]
  }
  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

# Workers come and go with the processor time that they use: a worker with a backlog uses all it has.
resource "aws_appautoscaling_target" "understand" {
  count              = local.has_workers
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.understand[0].name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.workers.min
  max_capacity       = var.workers.max
}

resource "aws_appautoscaling_policy" "understand" {
  count              = local.has_workers
  name               = "${var.name}-understand"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.understand[0].service_namespace
  resource_id        = aws_appautoscaling_target.understand[0].resource_id
  scalable_dimension = aws_appautoscaling_target.understand[0].scalable_dimension
  target_tracking_scaling_policy_configuration {
    target_value       = 70
    scale_in_cooldown  = 600
    scale_out_cooldown = 60
    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
