# HTTPS for the dashboard and the API, where there is a domain.

locals {
  balanced = var.domain == null ? 0 : 1
}

resource "aws_acm_certificate" "this" {
  count             = local.balanced
  domain_name       = var.domain
  validation_method = "DNS"
  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # One name, so one record.
  validation = try(tolist(aws_acm_certificate.this[0].domain_validation_options)[0], null)
}

resource "aws_route53_record" "validation" {
  count           = local.balanced
  zone_id         = var.zone_id
  name            = local.validation.resource_record_name
  type            = local.validation.resource_record_type
  records         = [local.validation.resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count                   = local.balanced
  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = aws_route53_record.validation[*].fqdn
}

resource "aws_security_group" "balancer" {
  count       = local.balanced
  name        = "${var.name}-balancer"
  description = "The load balancer"
  vpc_id      = local.vpc_id
  dynamic "ingress" {
    for_each = { 443 = "HTTPS", 80 = "HTTP, redirected to HTTPS" }
    content {
      description = ingress.value
      protocol    = "tcp"
      from_port   = ingress.key
      to_port     = ingress.key
      cidr_blocks = var.open_to
    }
  }
  egress {
    description = "To the tasks"
    protocol    = "tcp"
    from_port   = local.port
    to_port     = local.port
    cidr_blocks = [local.cidr]
  }
}

resource "aws_lb" "this" {
  count                      = local.balanced
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = local.public
  security_groups            = [aws_security_group.balancer[0].id]
  drop_invalid_header_fields = true
  enable_deletion_protection = true
  # Live streams of the dashboard send something every 15 s.
  idle_timeout = 120
}

resource "aws_lb_target_group" "main" {
  count                = local.balanced
  name                 = "${var.name}-main"
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.port
  vpc_id               = local.vpc_id
  deregistration_delay = 10
  health_check {
    path                = "/healthz"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 4
  }
}

resource "aws_lb_listener" "https" {
  count             = local.balanced
  load_balancer_arn = aws_lb.this[0].arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate_validation.this[0].certificate_arn
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.main[0].arn
  }
}

resource "aws_lb_listener" "http" {
  count             = local.balanced
  load_balancer_arn = aws_lb.this[0].arn
  protocol          = "HTTP"
  port              = 80
  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_route53_record" "this" {
  count   = local.balanced
  zone_id = var.zone_id
  name    = var.domain
  type    = "A"
  alias {
    name                   = aws_lb.this[0].dns_name
    zone_id                = aws_lb.this[0].zone_id
    evaluate_target_health = true
  }
}
