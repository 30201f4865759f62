# Overheard on AWS. docs/aws.md says how to apply it, what it costs and what was tested.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { Application = var.name }
  }
}

data "aws_caller_identity" "this" {}
