# What is stored: the lake and the small documents in a bucket, the listener's queue on a network disk, all under one key.

locals {
  key_arn    = var.kms_key_arn == null ? aws_kms_key.this[0].arn : var.kms_key_arn
  account    = data.aws_caller_identity.this.account_id
  policies   = "${path.module}/../policies"
  lake_url   = "s3://${aws_s3_bucket.lake.bucket}/lake"
  replicated = var.replica_region == null ? 0 : 1
}

resource "aws_kms_key" "this" {
  count                   = var.kms_key_arn == null ? 1 : 0
  description             = "Everything of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = templatefile("${local.policies}/key.json.tftpl", {
    account = local.account
    region  = var.region
    name    = var.name
  })
}

resource "aws_s3_bucket" "lake" {
  bucket = "${var.name}-lake-${local.account}-${var.region}"
}

resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket                  = aws_s3_bucket.lake.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "lake" {
  bucket = aws_s3_bucket.lake.id
  policy = templatefile("${local.policies}/bucket.json.tftpl", { bucket = aws_s3_bucket.lake.arn })
}

# A deletion is complete when the versions before it are gone. Uploads that were broken off are billed until then.
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    id     = "what was deleted or replaced"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = var.deleted_kept_days
    }
    expiration {
      expired_object_delete_marker = true
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
  rule {
    id     = "answers of Athena"
    status = "Enabled"
    filter {
      prefix = "athena/"
    }
    expiration {
      days = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.lake]
}

resource "aws_efs_file_system" "main" {
  encrypted  = true
  kms_key_id = local.key_arn
  tags       = { Name = var.name }
}

resource "aws_efs_backup_policy" "main" {
  file_system_id = aws_efs_file_system.main.id
  backup_policy {
    status = "ENABLED"
  }
}

resource "aws_efs_mount_target" "main" {
  count           = local.own_network ? 2 : length(try(var.vpc.subnets, []))
  file_system_id  = aws_efs_file_system.main.id
  subnet_id       = local.subnets[count.index]
  security_groups = [aws_security_group.disk.id]
}

# The user of the image.
resource "aws_efs_access_point" "main" {
  file_system_id = aws_efs_file_system.main.id
  posix_user {
    uid = 65532
    gid = 65532
  }
  root_directory {
    path = "/overheard"
    creation_info {
      owner_uid   = 65532
      owner_gid   = 65532
      permissions = "0700"
    }
  }
}

resource "aws_ssm_parameter" "secret" {
  for_each    = var.secrets
  name        = "/${var.name}/${each.value}"
  description = "Set by aws ssm put-parameter --overwrite"
  type        = "SecureString"
  key_id      = local.key_arn
  value       = "not set"
  lifecycle {
    ignore_changes = [value]
  }
}

resource "aws_ecr_repository" "this" {
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = local.key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name
  policy = jsonencode({ rules = [{
    rulePriority = 1
    description  = "the last ten versions"
    selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
    action       = { type = "expire" }
  }] })
}
