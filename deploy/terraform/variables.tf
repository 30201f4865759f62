# Everything that can be chosen. Without a change: one listener and one worker on Fargate, SQS between them, no load balancer.

variable "name" {
  description = "Name of the installation: prefix of the names of its resources."
  type        = string
  default     = "overheard"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name must be 2 to 21 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "region" {
  description = "Region of everything but the replica, such as eu-central-1."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the code of a region, such as eu-central-1."
  }
}

variable "understand" {
  description = "Where posts are enriched: fargate (tasks that run all the time) or lambda (functions that SQS starts)."
  type        = string
  default     = "fargate"
  validation {
    condition     = contains(["fargate", "lambda"], var.understand)
    error_message = "understand must be fargate or lambda."
  }
  validation {
    condition     = var.understand != "lambda" || var.queue == "sqs"
    error_message = "understand = \"lambda\" needs queue = \"sqs\": SQS starts the function."
  }
}

variable "queue" {
  description = "Between listener and workers: sqs, nats (your own servers), or embedded (one task does everything)."
  type        = string
  default     = "sqs"
  validation {
    condition     = contains(["sqs", "nats", "embedded"], var.queue)
    error_message = "queue must be sqs, nats or embedded."
  }
}

variable "engine" {
  description = "own: the shipped model and gazetteer. aws: the tasks may also call Comprehend, Translate, Location and SageMaker, as `config` says."
  type        = string
  default     = "own"
  validation {
    condition     = contains(["own", "aws"], var.engine)
    error_message = "engine must be own or aws."
  }
}

variable "image" {
  description = "Address of the container image. Null: the repository that is made here, with image_tag."
  type        = string
  default     = null
}

variable "image_tag" {
  description = "Tag of the image in the repository that is made here."
  type        = string
  default     = "0.1.0"
  validation {
    condition     = var.image_tag != "latest"
    error_message = "image_tag must name a version: the tags of the repository can't be moved."
  }
}

variable "architecture" {
  description = "Processor of tasks and functions, that for which the image was built: X86_64 or ARM64."
  type        = string
  default     = "X86_64"
  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture must be X86_64 or ARM64."
  }
}

variable "main" {
  description = "Size of the task that listens, detects and serves the dashboard (and understands, with queue = embedded). cpu: 1024 are one processor. memory and counts_memory: MB; counts_memory is lake.counts_memory_mb. spot: a cheaper task that may be stopped with two minutes' notice."
  type = object({
    cpu           = optional(number, 512)
    memory        = optional(number, 2048)
    counts_memory = optional(number, 256)
    spot          = optional(bool, false)
  })
  default = {}
  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192], var.main.cpu)
    error_message = "main.cpu must be 256, 512, 1024, 2048, 4096 or 8192."
  }
  validation {
    condition     = var.main.memory >= 2 * var.main.cpu && var.main.memory <= 8 * var.main.cpu
    error_message = "main.memory must be two to eight times main.cpu, as Fargate wants it."
  }
}

variable "workers" {
  description = "Tasks that understand: their size, and how few and how many there are. One more is started while messages wait."
  type = object({
    cpu    = optional(number, 1024)
    memory = optional(number, 2048)
    min    = optional(number, 1)
    max    = optional(number, 4)
    spot   = optional(bool, true)
  })
  default = {}
  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192], var.workers.cpu)
    error_message = "workers.cpu must be 256, 512, 1024, 2048, 4096 or 8192."
  }
  validation {
    condition     = var.workers.memory >= 2 * var.workers.cpu && var.workers.memory <= 8 * var.workers.cpu
    error_message = "workers.memory must be two to eight times workers.cpu, as Fargate wants it."
  }
  validation {
    condition     = var.workers.min >= 1 && var.workers.max >= var.workers.min && var.workers.max <= var.partitions
    error_message = "workers.min must be at least 1, and workers.max between workers.min and partitions: a partition is worked on by one worker."
  }
}

variable "function" {
  description = "Size of the functions, with understand = lambda. memory: MB, which also sets their share of a processor."
  type = object({
    memory  = optional(number, 2048)
    timeout = optional(number, 60)
  })
  default = {}
  validation {
    condition     = var.function.memory >= 1024 && var.function.memory <= 10240
    error_message = "function.memory must be 1024 to 10240 MB: the model needs 1024."
  }
  validation {
    condition     = var.function.timeout >= 30 && var.function.timeout <= 900
    error_message = "function.timeout must be 30 to 900 seconds."
  }
}

variable "partitions" {
  description = "Partitions of the queue (queue.partitions): can be raised while no post waits, and never lowered."
  type        = number
  default     = 8
  validation {
    condition     = var.partitions >= 2 && var.partitions <= 256 && floor(var.partitions) == var.partitions
    error_message = "partitions must be a whole number from 2 to 256."
  }
}

variable "nats" {
  description = "With queue = nats: the servers, the user, and the name of the secret (one of `secrets`) with the password."
  type = object({
    servers = list(string)
    user    = string
    secret  = string
  })
  default = null
  validation {
    condition     = var.queue != "nats" || var.nats != null
    error_message = "queue = \"nats\" needs nats = { servers, user, secret }."
  }
  validation {
    condition     = var.nats == null || alltrue([for server in try(var.nats.servers, []) : startswith(server, "tls://")])
    error_message = "nats.servers must begin with tls://: passwords don't go over the network in the clear."
  }
  validation {
    condition     = var.nats == null || contains(var.secrets, try(var.nats.secret, ""))
    error_message = "nats.secret must be one of secrets."
  }
}

variable "fresh_s" {
  description = "Seconds between two commits of posts to the lake (understand.batch_every_ms): each is 8 requests to S3."
  type        = number
  default     = 5
  validation {
    condition     = var.fresh_s >= 1 && var.fresh_s <= 60
    error_message = "fresh_s must be 1 to 60."
  }
}

variable "look_s" {
  description = "Seconds after which a process sees commits and documents of others, such as the end of a session. A look is seven requests to S3: $6 a month at 30 s with two processes. One task that does everything doesn't look."
  type        = number
  default     = 30
  validation {
    condition     = var.look_s >= 1 && var.look_s <= 60
    error_message = "look_s must be 1 to 60."
  }
}

variable "insights" {
  description = "Container Insights of the cluster, some $5 a month a service."
  type        = bool
  default     = true
}

variable "config" {
  description = "Further settings, TOML as in config/default.toml: sources, alert channels, engines. No secrets."
  type        = string
  default     = ""
  validation {
    condition     = length(var.config) <= 16384
    error_message = "config must be at most 16 kB: a task definition takes no more than 64 kB."
  }
}

variable "secrets" {
  description = "Names of secrets. Each is a SecureString /NAME/SECRET in Parameter Store, to be set by `aws ssm put-parameter`; settings name them by `..._ssm`."
  type        = set(string)
  default     = ["admin-password"]
  validation {
    condition     = contains(var.secrets, "admin-password")
    error_message = "secrets must contain admin-password, the password of the first admin."
  }
}

variable "domain" {
  description = "Host name of the dashboard, with zone_id. Null: no load balancer; docs/aws.md says how to reach it then."
  type        = string
  default     = null
  validation {
    condition     = (var.domain == null) == (var.zone_id == null)
    error_message = "domain and zone_id go together."
  }
}

variable "zone_id" {
  description = "Hosted zone of Route 53 in which the domain is made."
  type        = string
  default     = null
}

variable "open_to" {
  description = "Networks that may reach the load balancer."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  validation {
    condition     = alltrue([for network in var.open_to : can(cidrhost(network, 0))])
    error_message = "open_to must be networks, such as 203.0.113.0/24."
  }
}

variable "ports_out" {
  description = "Ports that tasks may reach outside: 443, and for example 465 for mail or 80 for feeds without TLS."
  type        = set(number)
  default     = [443]
  validation {
    condition     = contains(var.ports_out, 443)
    error_message = "ports_out must contain 443: AWS is reached through it."
  }
}

variable "vpc" {
  description = "An existing network: subnets of tasks (with a way out to AWS and to the sources), and public subnets of the load balancer, in two zones or more. Null: one is made."
  type = object({
    id             = string
    subnets        = list(string)
    public_subnets = list(string)
    cidr           = string
    public_ip      = optional(bool, false)
  })
  default = null
}

variable "kms_key_arn" {
  description = "Key that encrypts everything. Its policy must allow what policies/key.json.tftpl allows. Null: one is made."
  type        = string
  default     = null
}

variable "replica_region" {
  description = "Region of a copy of the lake. Null: none."
  type        = string
  default     = null
  validation {
    condition     = var.replica_region == null || var.replica_region != var.region
    error_message = "replica_region must be another region than region."
  }
}

variable "deleted_kept_days" {
  description = "Days that the bucket keeps what was deleted or replaced. Posts that are deleted stay readable there for so long."
  type        = number
  default     = 7
  validation {
    condition     = var.deleted_kept_days >= 1 && var.deleted_kept_days <= 90
    error_message = "deleted_kept_days must be 1 to 90."
  }
}

variable "sagemaker_endpoint" {
  description = "With engine = aws: name of the SageMaker endpoint that may be called."
  type        = string
  default     = null
  validation {
    condition     = var.sagemaker_endpoint == null || var.engine == "aws"
    error_message = "sagemaker_endpoint needs engine = \"aws\"."
  }
}

variable "streams" {
  description = "Whether posts may be sent to Firehose and Kinesis streams whose names begin with NAME-."
  type        = bool
  default     = false
}

variable "raw_events" {
  description = "With understand = lambda: a Firehose stream NAME-raw into a bucket of its own, and a function that reads its objects."
  type        = bool
  default     = false
  validation {
    condition     = !var.raw_events || var.understand == "lambda"
    error_message = "raw_events needs understand = \"lambda\"."
  }
}

variable "emails" {
  description = "Who is told of alarms and of the budget. Each address gets a mail that must be confirmed."
  type        = set(string)
  default     = []
}

variable "budget_usd" {
  description = "What the installation may cost in a month: mails are sent at 80% and when the forecast exceeds it. 0: no budget."
  type        = number
  default     = 100
  validation {
    condition     = var.budget_usd >= 0
    error_message = "budget_usd must not be negative."
  }
}

variable "athena_scan_gb" {
  description = "Gigabytes that one query of Athena may read. A gigabyte costs half a cent."
  type        = number
  default     = 10
  validation {
    condition     = var.athena_scan_gb >= 1
    error_message = "athena_scan_gb must be at least 1."
  }
}

variable "log_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 365
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "log_days must be a number of days that CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}
