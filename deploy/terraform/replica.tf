# A copy of the bucket in another region. Deletions are copied as well, and old versions expire there at the same time.

resource "aws_kms_key" "replica" {
  count                   = local.replicated
  region                  = var.replica_region
  description             = "The copy of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = templatefile("${local.policies}/key.json.tftpl", {
    account = local.account
    region  = var.replica_region
    name    = var.name
  })
}

resource "aws_s3_bucket" "replica" {
  count  = local.replicated
  region = var.replica_region
  bucket = "${var.name}-lake-${local.account}-${var.replica_region}"
}

resource "aws_s3_bucket_versioning" "replica" {
  count  = local.replicated
  region = var.replica_region
  bucket = aws_s3_bucket.replica[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "replica" {
  count  = local.replicated
  region = var.replica_region
  bucket = aws_s3_bucket.replica[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.replica[0].arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "replica" {
  count                   = local.replicated
  region                  = var.replica_region
  bucket                  = aws_s3_bucket.replica[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "replica" {
  count  = local.replicated
  region = var.replica_region
  bucket = aws_s3_bucket.replica[0].id
  policy = templatefile("${local.policies}/bucket.json.tftpl", { bucket = aws_s3_bucket.replica[0].arn })
}

resource "aws_s3_bucket_lifecycle_configuration" "replica" {
  count  = local.replicated
  region = var.replica_region
  bucket = aws_s3_bucket.replica[0].id
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
  depends_on = [aws_s3_bucket_versioning.replica]
}

resource "aws_iam_role" "replication" {
  count              = local.replicated
  name               = "${var.name}-replication"
  assume_role_policy = templatefile("${local.policies}/assume.json.tftpl", { service = "s3.amazonaws.com" })
}

resource "aws_iam_role_policy" "replication" {
  count = local.replicated
  name  = "replication"
  role  = aws_iam_role.replication[0].id
  policy = templatefile("${local.policies}/replication.json.tftpl", {
    bucket      = aws_s3_bucket.lake.arn
    replica     = aws_s3_bucket.replica[0].arn
    key         = local.key_arn
    replica_key = aws_kms_key.replica[0].arn
  })
}

resource "aws_s3_bucket_replication_configuration" "lake" {
  count  = local.replicated
  bucket = aws_s3_bucket.lake.id
  role   = aws_iam_role.replication[0].arn
  rule {
    id       = "lake"
    status   = "Enabled"
    priority = 1
    filter {
      prefix = "lake/"
    }
    delete_marker_replication {
      status = "Enabled"
    }
    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }
    destination {
      bucket        = aws_s3_bucket.replica[0].arn
      storage_class = "STANDARD_IA"
      encryption_configuration {
        replica_kms_key_id = aws_kms_key.replica[0].arn
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.lake, aws_s3_bucket_versioning.replica]
}
