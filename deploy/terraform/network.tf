# The network: public subnets in two zones and no NAT gateway ($32 a month). Tasks have an address to go out; nothing comes
# in but from the load balancer. Or an existing network.

data "aws_availability_zones" "these" {
  state = "available"
}

locals {
  own_network = var.vpc == null
  cidr        = local.own_network ? "10.61.0.0/16" : var.vpc.cidr
  zones       = slice(data.aws_availability_zones.these.names, 0, 2)
  vpc_id      = local.own_network ? aws_vpc.this[0].id : var.vpc.id
  subnets     = local.own_network ? aws_subnet.public[*].id : var.vpc.subnets
  public      = local.own_network ? aws_subnet.public[*].id : var.vpc.public_subnets
  public_ip   = local.own_network ? true : var.vpc.public_ip
}

resource "aws_vpc" "this" {
  count                = local.own_network ? 1 : 0
  cidr_block           = local.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# The group that resources get that name none: it allows nothing.
resource "aws_default_security_group" "this" {
  count  = local.own_network ? 1 : 0
  vpc_id = aws_vpc.this[0].id
}

resource "aws_internet_gateway" "this" {
  count  = local.own_network ? 1 : 0
  vpc_id = aws_vpc.this[0].id
  tags   = { Name = var.name }
}

resource "aws_subnet" "public" {
  count             = local.own_network ? 2 : 0
  vpc_id            = aws_vpc.this[0].id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(local.cidr, 4, count.index)
  tags              = { Name = "${var.name}-${count.index}" }
}

resource "aws_route_table" "public" {
  count  = local.own_network ? 1 : 0
  vpc_id = aws_vpc.this[0].id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this[0].id
  }
  tags = { Name = var.name }
}

resource "aws_route_table_association" "public" {
  count          = local.own_network ? 2 : 0
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public[0].id
}

# Reads and writes of the lake stay inside AWS, and cost nothing on the way.
resource "aws_vpc_endpoint" "s3" {
  count           = local.own_network ? 1 : 0
  vpc_id          = aws_vpc.this[0].id
  service_name    = "com.amazonaws.${var.region}.s3"
  route_table_ids = [aws_route_table.public[0].id]
  tags            = { Name = "${var.name}-s3" }
}

resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "Tasks: out to AWS, brokers and sources"
  vpc_id      = local.vpc_id
  dynamic "egress" {
    for_each = setunion(var.ports_out, var.queue == "nats" ? [4222] : [])
    content {
      description = "AWS, brokers, sources, alert channels"
      protocol    = "tcp"
      from_port   = egress.value
      to_port     = egress.value
      cidr_blocks = ["0.0.0.0/0"]
    }
  }
  egress {
    description = "NFS, for the listener's disk"
    protocol    = "tcp"
    from_port   = 2049
    to_port     = 2049
    cidr_blocks = [local.cidr]
  }
}

resource "aws_vpc_security_group_ingress_rule" "main_from_balancer" {
  count                        = local.balanced
  description                  = "From the load balancer"
  security_group_id            = aws_security_group.tasks.id
  referenced_security_group_id = aws_security_group.balancer[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_security_group" "disk" {
  name        = "${var.name}-disk"
  description = "The listener's disk"
  vpc_id      = local.vpc_id
  ingress {
    description     = "NFS, from tasks"
    protocol        = "tcp"
    from_port       = 2049
    to_port         = 2049
    security_groups = [aws_security_group.tasks.id]
  }
}
