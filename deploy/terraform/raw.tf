# Posts that others write: a Firehose stream into a bucket of its own, and a function that is started by
# each object. Anything that writes JSON lines below raw/ will do in Firehose's place.

locals {
  has_raw = var.raw_events ? 1 : 0
}

resource "aws_s3_bucket" "raw" {
  count  = local.has_raw
  bucket = "${var.name}-raw-${local.account}-${var.region}"
}

resource "aws_s3_bucket_versioning" "raw" {
  count  = local.has_raw
  bucket = aws_s3_bucket.raw[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "raw" {
  count  = local.has_raw
  bucket = aws_s3_bucket.raw[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "raw" {
  count                   = local.has_raw
  bucket                  = aws_s3_bucket.raw[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "raw" {
  count  = local.has_raw
  bucket = aws_s3_bucket.raw[0].id
  policy = templatefile("${local.policies}/bucket.json.tftpl", { bucket = aws_s3_bucket.raw[0].arn })
}

# The lake has the posts: their files go after as many days as a deleted post may stay.
resource "aws_s3_bucket_lifecycle_configuration" "raw" {
  count  = local.has_raw
  bucket = aws_s3_bucket.raw[0].id
  rule {
    id     = "what was read"
    status = "Enabled"
    filter {}
    expiration {
      days = var.deleted_kept_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 1
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
  depends_on = [aws_s3_bucket_versioning.raw]
}

resource "aws_lambda_permission" "raw" {
  count          = local.has_raw
  statement_id   = "bucket"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.this["raw"].function_name
  principal      = "s3.amazonaws.com"
  source_arn     = aws_s3_bucket.raw[0].arn
  source_account = local.account
}

resource "aws_s3_bucket_notification" "raw" {
  count  = local.has_raw
  bucket = aws_s3_bucket.raw[0].id
  lambda_function {
    lambda_function_arn = aws_lambda_function.this["raw"].arn
    events              = ["s3:ObjectCreated:*"]
    filter_prefix       = "raw/"
  }
  depends_on = [aws_lambda_permission.raw]
}

resource "aws_iam_role" "firehose" {
  count              = local.has_raw
  name               = "${var.name}-firehose"
  assume_role_policy = templatefile("${local.policies}/assume.json.tftpl", { service = "firehose.amazonaws.com" })
}

resource "aws_iam_role_policy" "firehose" {
  count  = local.has_raw
  name   = "firehose"
  role   = aws_iam_role.firehose[0].id
  policy = templatefile("${local.policies}/firehose.json.tftpl", local.parts)
}

resource "aws_kinesis_firehose_delivery_stream" "raw" {
  count       = local.has_raw
  name        = "${var.name}-raw"
  destination = "extended_s3"
  server_side_encryption {
    enabled  = true
    key_type = "CUSTOMER_MANAGED_CMK"
    key_arn  = local.key_arn
  }
  extended_s3_configuration {
    bucket_arn          = aws_s3_bucket.raw[0].arn
    role_arn            = aws_iam_role.firehose[0].arn
    kms_key_arn         = local.key_arn
    prefix              = "raw/"
    error_output_prefix = "failed/"
    compression_format  = "GZIP"
    buffering_interval  = 60
    buffering_size      = 5
  }
}
